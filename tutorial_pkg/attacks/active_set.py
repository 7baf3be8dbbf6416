"""The multipliers of a few linear constraints, for many problems at once."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

MAX_STEPS = 8  # from the last iteration's active set two or three are enough


def solve_multipliers(
    matrix: Float[Tensor, "n k k"], needed: Float[Tensor, "n k"], active: Bool[Tensor, "n k"]
) -> Float[Tensor, "n k"]:
    """Return λ ≥ 0 with A·λ ≥ b, and A·λ = b where λ > 0: the dual of a quadratic program with k constraints.

    The primal-dual active-set method: solve for the constraints thought active, then drop those with λ < 0 and
    add those that are violated, until nothing changes.

    Args:
        matrix: A, symmetric and positive semidefinite. Constraints that say the same (a singular A) share λ.
        needed: b.
        active: the constraints to begin with.

    Example:
        >>> matrix, needed = torch.eye(2)[None], torch.tensor([[3.0, -1.0]])
        >>> solve_multipliers(matrix, needed, needed > 5).allclose(torch.tensor([[3.0, 0.0]]))
        True

    Source: Hintermüller, Ito & Kunisch (2002), The primal-dual active set strategy as a semismooth Newton method.
    """
    diagonal = matrix.diagonal(dim1=1, dim2=2).clamp(min=torch.finfo(matrix.dtype).tiny ** 0.5)
    matrix = matrix + torch.diag_embed(4 * torch.finfo(matrix.dtype).eps * diagonal)
    multipliers = torch.zeros_like(needed)
    for _ in range(MAX_STEPS):
        chosen = active.to(matrix.dtype)
        system = matrix * chosen[:, :, None] * chosen[:, None, :] + torch.diag_embed(diagonal * (1 - chosen))
        multipliers = torch.linalg.solve_ex(system, needed * chosen).result.nan_to_num()
        excess = (matrix @ multipliers[:, :, None])[:, :, 0] - needed
        wanted = diagonal * multipliers > excess
        if torch.equal(wanted, active):
            break
        active = wanted
    return multipliers.clamp(min=0)
