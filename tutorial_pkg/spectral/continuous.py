"""From a grid to every frequency: a proven bound above, and a search below."""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float
from scipy.optimize import minimize
from torch import Tensor

from tutorial_pkg.spectral.symbol import polyphase_symbol

_NUM_STARTS = 4
_OFFSET = 1e-3


def riesz_factor(degree: tuple[int, ...], grid: tuple[int, ...]) -> float:
    """Return how far sup_ω ‖A(ω)‖ can be above its maximum on the grid: Π 1 / cos(πd / 2m) over the axes.

    u*A(ω)v is, times exp(iωd/2), a trigonometric polynomial of degree d/2. M. Riesz: one that attains its
    maximum M at ω₀ is at least M cos((ω − ω₀) d/2) nearby, and some grid point is within π/m of ω₀. The bound
    holds for every map size, and for zero padding, which only restricts the operator to fewer pixels.

    Args:
        degree: d of each axis, see `degrees`.
        grid: m of each axis.

    Returns:
        At least 1; `inf` where m ≤ d ≠ 0 on some axis, where such a grid proves nothing.

    Example:
        >>> riesz_factor((2, 2), (13, 13))
        1.0607...
        >>> riesz_factor((4,), (4,))
        inf
    """
    if any(d > 0 and m <= d for d, m in zip(degree, grid, strict=True)):
        return math.inf
    return math.prod(1 / math.cos(math.pi * d / (2 * m)) for d, m in zip(degree, grid, strict=True))


def refine_bounds(
    parts: tuple[Float[Tensor, "rows channels *kernel"], ...],
    frequencies: Float[Tensor, "freq axes"],
    *,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[float, float]:
    """Search inf_ω σ_min(A(ω)) and sup_ω σ₁(A(ω)) over continuous ω, from the best grid points on.

    A square symbol is singular where det A(ω) = 0, two real equations; in two dimensions that is as many as
    there are unknowns, so zeros are the rule, and a grid sees only how near to one it happens to pass.

    Args:
        parts: taps of each group.
        frequencies: the grid to start from.
        stride, dilation: of the layer, an axis.

    Returns:
        (infimum, supremum), both attained at some frequency.
    """
    lowest, highest = math.inf, 0.0
    for part in parts:
        values = torch.stack([_extreme_pair(part, one, stride, dilation) for one in frequencies])
        for k, sign in ((0, 1.0), (1, -1.0)):
            order = (sign * values[:, k]).argsort()[:_NUM_STARTS]
            for start in frequencies[order]:
                found = _descend(part, start, k, sign, stride, dilation)
                lowest, highest = (min(lowest, found), highest) if k == 0 else (lowest, max(highest, found))
    return lowest, highest


def _descend(
    part: Float[Tensor, "rows channels *kernel"],
    start: Float[Tensor, " axes"],
    which: int,
    sign: float,
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> float:
    """Return the extreme singular value at a local minimum of sign·σ², found by BFGS from near `start`."""
    values: list[float] = []

    def value_and_grad(omega: np.ndarray) -> tuple[float, np.ndarray]:
        point = torch.as_tensor(omega, dtype=start.dtype, device=start.device).requires_grad_()
        with torch.enable_grad():
            sigma = _extreme_pair(part, point, stride, dilation)[which]
            (slope,) = torch.autograd.grad(sigma, point)
        values.append(sigma.item())
        scale = sign / (values[0] or 1.0) ** 2  # or BFGS, whose tolerance is absolute, would not begin
        return scale * values[-1] ** 2, 2 * scale * values[-1] * slope.cpu().numpy()

    # σ(−ω) = σ(ω): at ω = 0 and π the slope vanishes whether or not there is a minimum.
    minimize(value_and_grad, start.cpu().numpy() + _OFFSET, jac=True, method="BFGS", options={"maxiter": 50})
    return min(values) if sign > 0 else max(values)


def _extreme_pair(
    part: Float[Tensor, "rows channels *kernel"],
    omega: Float[Tensor, " axes"],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Float[Tensor, "2"]:
    """Return (σ_min, σ₁) of A(ω) at one frequency."""
    values = torch.linalg.svdvals(polyphase_symbol(part, omega[None], stride=stride, dilation=dilation)[0])
    return values[[-1, 0]]
