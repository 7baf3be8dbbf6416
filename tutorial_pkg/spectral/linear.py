"""Frame bounds of a fully connected layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh
from torch import Tensor

from tutorial_pkg.spectral.bounds import FrameBounds
from tutorial_pkg.spectral.checks import checked_weight, largest, power_of_two

_DENSE = 512
_ACCURACY = 1e-10  # of λ₊
_PIVOT_GROWTH = 1e6  # of an LU factorisation, by which its rounding grows too; tens are usual

Vector = Float[Tensor, " n"]
Vectors = Float[Tensor, "n 1"]


def linear_frame_bounds(weight: Tensor) -> FrameBounds:
    """Return the smallest and largest singular values of a fully connected layer's matrix.

    Section 4.3: λ₊ = ‖W‖ and λ₋, the thin one: FC 1 of Table 5 maps 9216 values to 4096, so that its strict
    lower bound is zero. A large matrix is not decomposed in full. Lanczos (ARPACK) finds the singular vector of λ₊
    at the top of WWᵀ and that of λ₋ at the top of an inverse, which a factorisation applies: of WWᵀ, or of W itself
    if it is square. For what WWᵀ gives float32 is enough, because only the vectors count. What W does to them is
    measured in float64, and the residual and the distance to the next value tell how far the measure can be off.
    Where that is more than 1e-10·λ₊, WWᵀ is taken in float64; and where even that cannot tell two values apart, W
    is decomposed in full. Two values that agree to eight digits may count as one, which has cost up to 1e-8·λ₊ in
    one of a thousand such matrices.

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
    exact, given = checked_weight(weight, (2,), "[out, in]"), weight.detach()
    rows, cols = exact.shape
    unit = power_of_two(exact)
    if unit != 1:
        exact, given = exact / unit, (exact / unit).to(given.dtype)
    lower, upper = _extremes(exact, given) if rows <= cols else _extremes(exact.T, given.T)
    return FrameBounds(unit * lower, unit * upper, rows, cols, grid=(), certificate=unit * upper)


def _extremes(wide: Float[Tensor, "n m"], given: Float[Tensor, "n m"]) -> tuple[float, float]:
    """Return σ_min and σ₁ of a matrix with at least as many columns as rows, in float64 and as it was given."""
    if len(wide) > _DENSE:
        with suppress(_TooFarOff):
            lower = _lower_of_square(wide) if wide.shape[0] == wide.shape[1] else None
            for dtype in (torch.float32, torch.float64):
                with suppress(_TooFarOff):
                    return _by_lanczos(wide, lower, given.to(wide.device, dtype))
    values = torch.linalg.svdvals(wide.cpu())
    return values[-1].item(), values[0].item()


class _TooFarOff(Exception):
    """A singular value is not known as well as it should be."""


def _by_lanczos(wide: Float[Tensor, "n m"], lower: float | None, rounded: Float[Tensor, "n m"]) -> tuple[float, float]:
    """Return σ_min, unless it is known, and σ₁ with the vectors of WWᵀ as it is in the dtype of `rounded`.

    Raises:
        _TooFarOff: that dtype is not enough.
    """
    gram = _gram(rounded)
    if not gram.diagonal().any():
        return 0.0, 0.0
    first, second, vector = _top_two(lambda x: gram @ x, gram, 20)
    rounding = 32 * torch.finfo(gram.dtype).eps * first  # moves eigenvalues by a few eps: errors of sums are random
    upper, error, _ = _measured(wide, vector.to(wide), first - second - 2 * rounding)
    if not error <= _ACCURACY * upper:  # nor NaN
        raise _TooFarOff
    if lower is not None:
        return lower, upper
    factor, info = torch.linalg.cholesky_ex(gram)
    if info > 0:
        raise _TooFarOff

    inverted = torch.cholesky_inverse(factor) if _solves_slowly(gram) else None

    def inverse(x: Vectors) -> Vectors:
        if inverted is not None:
            return inverted @ x
        y = torch.linalg.solve_triangular(factor, x, upper=False)
        return torch.linalg.solve_triangular(factor.T, y, upper=True)

    first, second, vector = _top_two(inverse, gram, 10)
    gap = 1 / second - 1 / first - 2 * rounding
    x = vector.to(wide)
    lower, error, residual = _measured(wide, x, gap)
    if not error <= _ACCURACY * upper:
        x = x - inverse(residual.to(gram)[:, None])[:, 0].to(wide)  # inverse iteration
        lower, error, _ = _measured(wide, x / x.norm(), gap)
    if not error <= _ACCURACY * upper:
        raise _TooFarOff
    return lower, upper


def _measured(wide: Float[Tensor, "n m"], vector: Vector, gap: float) -> tuple[float, float, Vector]:
    """Return ‖Wᵀx‖, how far it may be from the singular value whose vector x approximates, and r = WWᵀx − ‖Wᵀx‖²x.

    Where ‖x‖ = 1 and all other eigenvalues of WWᵀ are further than `gap` from ρ = ‖Wᵀx‖² on the same side, the one left
    is at most ‖r‖² / gap from ρ (Kato and Temple).
    """
    image = vector @ wide
    square = (image @ image).item()
    residual = wide @ image - square * vector
    error = residual.norm().item() ** 2 / gap if gap > 0 else math.inf
    return math.sqrt(square), math.sqrt(square) - math.sqrt(max(square - error, 0)), residual


def _lower_of_square(square: Float[Tensor, "n n"]) -> float:
    """Return σ_min by Lanczos on the inverse of WᵀW, which an LU factorisation of Wᵀ applies: no digits are squared.

    Raises:
        _TooFarOff: the factorisation lost too many, or the smallest values cannot be told apart.
    """
    lu, pivots = torch.linalg.lu_factor_ex(square.mT)[:2]  # LAPACK's order of the entries: nothing is copied over
    norm = torch.linalg.matrix_norm(square).item()
    if largest(lu.mT) > _PIVOT_GROWTH * largest(square):
        raise _TooFarOff
    if lu.diagonal().abs().min().item() * len(square) <= torch.finfo(square.dtype).eps * norm:
        return 0.0  # σ_min is at most this pivot times ‖L‖ ≤ n

    inverted = torch.linalg.lu_solve(lu, pivots, torch.eye(len(lu)).to(lu)) if _solves_slowly(lu) else None

    def inverse(x: Vectors) -> Vectors:
        if inverted is not None:
            return inverted.mT @ (inverted @ x)
        y = torch.linalg.lu_solve(lu, pivots, x)
        return torch.linalg.lu_solve(lu, pivots, y, adjoint=True)

    first, second, vector = _top_two(inverse, square, 10)
    lower, error, _ = _measured(square.T, vector.to(square), 1 / second - 1 / first)
    if not error <= _ACCURACY * norm / math.sqrt(len(square)):  # at most λ₊
        raise _TooFarOff
    return lower


def _solves_slowly(matrix: Float[Tensor, "n n"]) -> bool:
    """Say whether one triangular solution takes about as long as thousands at once, as on a GPU."""
    return matrix.device.type != "cpu"


def _gram(wide: Float[Tensor, "n m"], num_blocks: int = 8) -> Float[Tensor, "n n"]:
    """Return WWᵀ, computing little more than one half of it."""
    gram = wide.new_empty(len(wide), len(wide))
    for i in range(0, len(wide), block := -(-len(wide) // num_blocks)):
        strip = wide[i : i + block] @ wide[: i + block].T
        gram[i : i + block, : i + block] = strip
        gram[: i + block, i : i + block] = strip.T
    return gram


def _top_two(
    apply: Callable[[Vectors], Vectors], like: Float[Tensor, "n n"], num_vectors: int
) -> tuple[float, float, Vector]:
    """Return the two largest eigenvalues of a symmetric positive operator, and the first's vector, by ARPACK's Lanczos.

    Args:
        apply: the operator.
        like: gives its size, dtype and device.
        num_vectors: kept by Lanczos; few where the eigenvalues lie far apart, as an inverse's do.

    Raises:
        _TooFarOff: it does not converge, or the operator overflows.
    """

    def matvec(x: np.ndarray) -> np.ndarray:
        image = apply(torch.from_numpy(x).to(like).reshape(-1, 1))
        if not image.isfinite().all():
            raise _TooFarOff
        return image.flatten().cpu().double().numpy()

    size = len(like)
    operator = LinearOperator((size, size), matvec=matvec, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(size)
    tolerance = max(torch.finfo(like.dtype).eps, 1e-11)
    try:
        values, vectors = eigsh(operator, k=2, which="LA", v0=start, ncv=num_vectors, tol=tolerance)
    except ArpackError as error:
        raise _TooFarOff from error
    return float(values[1]), float(values[0]), torch.from_numpy(vectors[:, 1].copy())
