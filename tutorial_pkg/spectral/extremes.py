"""The extreme singular values of very many small matrices, most of which are ruled out and never decomposed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float, Int
from torch import Tensor

TOLERANCE = 1e-11
"""A matrix is left out only if it would move neither bound by more than this part of the upper one."""

_POWER_STEPS = 8
_SAMPLE = 16


@dataclass(frozen=True)
class Extremes:
    """The smallest and the largest singular value of all matrices."""

    smallest: float
    largest: float


@dataclass(frozen=True)
class Batch:
    """Matrices A of one shape, most of which are never looked at themselves.

    Attributes:
        gram: A*A or AA*, whichever is smaller, or their conjugates.
        at: returns the matrices A at some positions, in complex128.
        slack: rounding in products and factorisations of matrices of this size, as a part of ‖A‖².
        rounding: of `gram` beyond that, as it was not multiplied out; absolute.
    """

    gram: Complex[Tensor, "batch n n"]
    at: Callable[[Int[Tensor, " some"]], Complex[Tensor, "some rows cols"]]
    slack: float
    rounding: float = 0.0

    @classmethod
    def of(cls, matrices: Complex[Tensor, "batch rows cols"]) -> Batch:
        """Return a batch of known matrices.

        Example:
            >>> Batch.of(torch.ones(5, 3, 2, dtype=torch.complex128)).gram.shape
            torch.Size([5, 2, 2])
        """
        tall = matrices if matrices.shape[1] >= matrices.shape[2] else matrices.mH
        slack = sum(tall.shape[1:]) * torch.finfo(torch.float64).eps
        return cls(tall.mH @ tall, lambda positions: matrices[positions], slack)

    def margin(self, largest: float) -> float:
        """Return how far an eigenvalue of `gram` may be off, where ‖A‖ is at most `largest`."""
        return self.slack * largest**2 + self.rounding


def extreme_singular_values(batches: Iterable[Batch]) -> Extremes:
    """Return the smallest (thin) and the largest singular value over all matrices of all batches.

    With G the Gram matrix of A, a Cholesky factorisation of σ²I − G exists exactly when every
    singular value of A is below σ, and one of G − σ²I when every one is above. It costs a tenth of the singular
    values, so each matrix is first tested against the extremes found so far, and only those that could beat them
    are decomposed: the most promising first, then what still stands. Squaring loses digits, but it only ever
    rules out, with room for rounding; each value returned comes from an SVD of A itself.

    Args:
        batches: of matrices of one shape, as many at a time as memory holds.

    Returns:
        Both values, within `TOLERANCE` times the largest of those of a full SVD.

    Example:
        >>> matrices = torch.stack([torch.eye(3), torch.diag(torch.tensor([1.0, 2.0, 5.0]))]).cdouble()
        >>> extreme_singular_values([Batch.of(matrices)])
        Extremes(smallest=1.0, largest=5.0)
    """
    best = Extremes(smallest=float("inf"), largest=0.0)
    for batch in batches:
        gram = batch.gram
        for may_improve, estimate in ((_may_exceed, _power), (_may_fall_below, _inverse_power)):
            standing = torch.arange(len(gram), device=gram.device)
            standing = standing[may_improve(batch, standing, best)]
            take = 1
            while len(standing) > 0:
                sample = standing[:: -(-len(standing) // max(_SAMPLE, take))]
                promising = estimate(gram[sample]).topk(min(take, len(sample))).indices
                best = _decompose(batch, sample[promising], best)
                standing = standing[~torch.isin(standing, sample[promising])]
                standing = standing[may_improve(batch, standing, best)]
                take *= 2
    return best


def _may_exceed(batch: Batch, standing: Int[Tensor, " some"], best: Extremes) -> Bool[Tensor, " some"]:
    """Say which matrices could have a singular value above the largest one known."""
    ceiling = ((1 + TOLERANCE) * best.largest) ** 2 - batch.margin(best.largest)
    if ceiling <= 0:
        return torch.ones_like(standing, dtype=torch.bool)
    gram = batch.gram if len(standing) == len(batch.gram) else batch.gram[standing]
    return torch.linalg.cholesky_ex(ceiling * _eye(gram) - gram).info > 0


def _may_fall_below(batch: Batch, standing: Int[Tensor, " some"], best: Extremes) -> Bool[Tensor, " some"]:
    """Say which matrices could have a singular value below the smallest one known."""
    floor = best.smallest - TOLERANCE * best.largest
    if not 0 < floor < float("inf"):
        return torch.full_like(standing, floor > 0, dtype=torch.bool)
    gram = batch.gram if len(standing) == len(batch.gram) else batch.gram[standing]
    return torch.linalg.cholesky_ex(gram - (floor**2 + batch.margin(best.largest)) * _eye(gram)).info > 0


def _power(gram: Complex[Tensor, "batch n n"]) -> Float[Tensor, " batch"]:
    """Estimate the largest eigenvalues by a few power steps."""
    x = _starts(gram)
    for _ in range(_POWER_STEPS):
        x = torch.nn.functional.normalize(gram @ x, dim=1)
    return (gram @ x).norm(dim=1).amax(1)


def _inverse_power(gram: Complex[Tensor, "batch n n"]) -> Float[Tensor, " batch"]:
    """Estimate the largest eigenvalues of the inverses by a few inverse power steps."""
    ridge = gram.diagonal(dim1=1, dim2=2).real.sum(1)[:, None, None] * torch.finfo(torch.float64).eps
    factor = torch.linalg.cholesky_ex(gram + (ridge + torch.finfo(torch.float64).tiny) * _eye(gram)).L
    x = _starts(gram)
    for _ in range(_POWER_STEPS):
        x = torch.linalg.solve_triangular(factor, x, upper=False)
        x = torch.linalg.solve_triangular(factor.mH, x, upper=True)
        growth = x.norm(dim=1).amax(1)
        x = torch.nn.functional.normalize(x, dim=1)
    return growth


def _decompose(batch: Batch, positions: Int[Tensor, " some"], best: Extremes) -> Extremes:
    """Take the exact singular values of the matrices at `positions` into account."""
    if len(positions) == 0:
        return best
    values = torch.linalg.svdvals(batch.at(positions).cpu())  # LAPACK: several times faster than a GPU's Jacobi
    return Extremes(
        smallest=min(best.smallest, values[:, -1].min().item()), largest=max(best.largest, values[:, 0].max().item())
    )


def _starts(gram: Complex[Tensor, "batch n n"]) -> Complex[Tensor, "n 2"]:
    """Return the same two random start vectors every time, whatever the caller's random state."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(gram.shape[-1], 2, generator=generator, dtype=gram.dtype, device="cpu").to(gram.device)


def _eye(gram: Complex[Tensor, "batch n n"]) -> Complex[Tensor, "n n"]:
    return torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
