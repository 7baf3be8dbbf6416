"""Frame bounds of a fully connected layer."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor

from tutorial_pkg.spectral.bounds import FrameBounds
from tutorial_pkg.spectral.checks import checked_weight

_DENSE = 512
_SQUARING_IS_SAFE = 1e-4
_PIVOT_GROWTH = 1e6  # of an LU factorisation, by which its rounding grows too; 10 or 20 are usual

Vectors = Float[Tensor, "n 1"]


def linear_frame_bounds(weight: Tensor) -> FrameBounds:
    """Return the smallest and largest singular values of a fully connected layer's matrix.

    Section 4.3: λ₊ = ‖W‖ and λ₋, the thin one: FC 1 of Table 5 maps 9216 values to 4096, so that its strict
    lower bound is zero. A large matrix is not decomposed in full. Lanczos (ARPACK) finds λ₊² as the top of WW*
    and 1/λ₋² as the top of its inverse, which a factorisation of W (square) or of WW* (else) applies. Where
    squaring could cost λ₋ its digits, the full decomposition is taken after all.

    Args:
        weight: [out, in], of any float dtype; computed in float64.

    Returns:
        `FrameBounds` without a grid.

    Raises:
        ValueError: the weight is no matrix, not of a float dtype, empty or not finite.

    Example:
        >>> b = linear_frame_bounds(torch.tensor([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]]))
        >>> b.lower, b.upper, b.strict_lower
        (3.0, 4.0, 0.0)
    """
    weight = checked_weight(weight, (2,), "[out, in]")
    lower, upper = _extremes(weight if len(weight) <= weight.shape[1] else weight.T)
    rows, cols = weight.shape
    return FrameBounds(lower, upper, rows, cols, grid=(), certificate=upper)


def _extremes(wide: Float[Tensor, "n m"]) -> tuple[float, float]:
    """Return σ_min and σ₁ of a matrix with at least as many columns as rows."""
    if not wide.any():
        return 0.0, 0.0
    if len(wide) > _DENSE:
        lower, upper = _square_extremes(wide) if wide.shape[0] == wide.shape[1] else _wide_extremes(wide)
        if math.isfinite(lower):
            return lower, upper
    values = torch.linalg.svdvals(wide)
    return values[-1].item(), values[0].item()


def _square_extremes(square: Float[Tensor, "n n"]) -> tuple[float, float]:
    """Return both by Lanczos on WW* and, through an LU factorisation, its inverse; a lower one of NaN if that fails."""
    upper = math.sqrt(_top_eigenvalue(lambda x: square @ (square.T @ x), square))
    lu, pivots = torch.linalg.lu_factor_ex(square)[:2]
    rounding = torch.finfo(square.dtype).eps * upper
    if lu.abs().max() > _PIVOT_GROWTH * square.abs().max():
        return math.nan, upper
    if lu.diagonal().abs().min() * len(square) < rounding:  # σ_min is at most this pivot times ‖L‖ ≤ n
        return 0.0, upper

    def inverse(x: Vectors) -> Vectors:
        y = torch.linalg.lu_solve(lu, pivots, x)
        return torch.linalg.lu_solve(lu, pivots, y, adjoint=True)

    try:
        return 1 / math.sqrt(_top_eigenvalue(inverse, square, 20)), upper
    except ArpackError:  # where the inverse overflows, or spans too many orders of magnitude
        return math.nan, upper


def _wide_extremes(wide: Float[Tensor, "n m"]) -> tuple[float, float]:
    """Return both by Lanczos on WW* and its inverse; a lower one of NaN where squaring may have spoilt it."""
    gram = _gram(wide)
    upper = math.sqrt(_top_eigenvalue(lambda x: gram @ x, gram))
    factor, info = torch.linalg.cholesky_ex(gram)
    if info > 0:
        return math.nan, upper

    def inverse(x: Vectors) -> Vectors:
        y = torch.linalg.solve_triangular(factor, x, upper=False)
        return torch.linalg.solve_triangular(factor.T, y, upper=True)

    lower = 1 / math.sqrt(_top_eigenvalue(inverse, gram, 20))
    return (lower if lower > _SQUARING_IS_SAFE * upper else math.nan), upper


def _gram(wide: Float[Tensor, "n m"], num_blocks: int = 8) -> Float[Tensor, "n n"]:
    """Return WW*, computing little more than one half of it."""
    gram = wide.new_empty(len(wide), len(wide))
    for i in range(0, len(wide), block := -(-len(wide) // num_blocks)):
        strip = wide[i : i + block] @ wide[: i + block].T
        gram[i : i + block, : i + block] = strip
        gram[: i + block, i : i + block] = strip.T
    return gram


def _top_eigenvalue(apply: Callable[[Vectors], Vectors], like: Float[Tensor, "n n"], num_vectors: int = 80) -> float:
    """Return the largest eigenvalue of a symmetric positive operator, by ARPACK's Lanczos."""

    def matvec(x: np.ndarray) -> np.ndarray:
        return apply(torch.from_numpy(x).to(like).reshape(-1, 1)).flatten().cpu().numpy()

    size = len(like)
    operator = LinearOperator((size, size), matvec=matvec, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(size)
    (value,) = eigsh(operator, k=1, which="LA", v0=start, ncv=num_vectors, tol=1e-9, return_eigenvectors=False)
    return float(value)
