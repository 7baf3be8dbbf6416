"""The limited-memory BFGS inverse Hessian of many problems at once, as two batched matrix products.

The textbook two-loop recursion walks through the pairs one after the other, 4·M vector operations that each
wait for the last. The compact form (Byrd, Nocedal & Schnabel 1994, eq. 2.6) needs only the Gram matrix of the
stored vectors and two M × M triangular systems, and the whole batch goes through each of them together.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

MIN_CURVATURE = 1e-2  # a pair whose sᵀy / sᵀs is below this share of the initial curvature is left out


def inverse_hessian_coefficients(
    gram: Float[Tensor, "batch rows rows"],
    num_pairs: int,
    newest: int,
    step_weight: Float[Tensor, " batch"],
    change_weight: Float[Tensor, " batch"],
    inverse_curvature: Float[Tensor, " batch"],
) -> Float[Tensor, "batch pairs2 vectors"]:
    """Return C such that H·v = γ·v + [S; W]ᵀ·C, for the vectors v stored behind the pairs.

    With Y = α·S + β·W, R the upper triangle of S·Yᵀ and D its diagonal,

        H·v = γ·v + Sᵀ·b − γ·Yᵀ·a,   a = R⁻¹·S·v,   b = R⁻ᵀ·(D·a + γ·Y·Yᵀ·a − γ·Y·v).

    Y is not stored but combined, because the boundary method's Hessian 1 − λ·∇²m changes with λ from one
    iteration to the next while its measurements, steps and gradient changes, stay true.

    Args:
        gram: inner products of the rows [s₁ … s_M, w₁ … w_M, v₁ … v_k], over the free variables only.
        num_pairs: M. Rows of zeros are pairs not yet there.
        newest: which of the M is the latest; the one after it, cyclically, is the oldest.
        step_weight, change_weight: α and β.
        inverse_curvature: γ, the inverse Hessian before any pair is known.
    """
    m = num_pairs
    alpha, beta, gamma = (w[:, None, None] for w in (step_weight, change_weight, inverse_curvature))
    ss, sw, ww = gram[:, :m, :m], gram[:, :m, m : 2 * m], gram[:, m : 2 * m, m : 2 * m]
    sv, wv = gram[:, :m, 2 * m :], gram[:, m : 2 * m, 2 * m :]
    sy = alpha * ss + beta * sw
    yy = alpha**2 * ss + alpha * beta * (sw + sw.transpose(1, 2)) + beta**2 * ww
    yv = alpha * sv + beta * wv

    steps = ss.diagonal(dim1=1, dim2=2)
    curved = sy.diagonal(dim1=1, dim2=2) * inverse_curvature[:, None] > MIN_CURVATURE * steps
    used = (curved & (steps > 0)).to(gram.dtype)
    oldest_first = torch.arange(newest + 1, newest + 1 + m, device=gram.device) % m
    in_order, back = (lambda t: t[:, oldest_first]), oldest_first.argsort()
    both = used[:, :, None] * used[:, None, :]
    sy, yy = (in_order(in_order(t * both).transpose(1, 2)).transpose(1, 2) for t in (sy, yy))
    sv, yv = in_order(sv * used[:, :, None]), in_order(yv * used[:, :, None])

    curvatures = sy.diagonal(dim1=1, dim2=2)[:, :, None]
    right = sy.triu() + torch.diag_embed(1 - in_order(used))
    a = torch.linalg.solve_triangular(right, sv, upper=True)
    b = curvatures * a + gamma * (yy @ a - yv)
    b = torch.linalg.solve_triangular(right.transpose(1, 2), b, upper=False)
    a, b = a[:, back] * used[:, :, None], b[:, back] * used[:, :, None]
    return torch.cat((b - gamma * alpha * a, -gamma * beta * a), dim=1)
