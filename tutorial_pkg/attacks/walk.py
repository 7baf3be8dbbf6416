"""The state of the walks along the boundary, many problems at once.

The large arrays are allocated once and used again in every step, see `running`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass
class Walk:
    """The problems that are still running, one row each."""

    row: Int[Tensor, " n"]
    clean: Float[Tensor, "n pixels"]
    targets: Int[Tensor, " n"]
    gap: Float[Tensor, " n"]  # what the clean image lacks of the target
    point: Float[Tensor, "n pixels"]
    margins: Float[Tensor, "n classes"]
    tie: Float[Tensor, " n"]
    rivals: Int[Tensor, "n rivals"]
    multipliers: Float[Tensor, "n classes"]
    step_length: Float[Tensor, " n"]
    vectors: Float[Tensor, "n rows pixels"]  # s₁ … s_M, w₁ … w_M, r, ∇m₁ … ∇m_k
    scratch: Float[Tensor, "n rows pixels"]  # the vectors on the free pixels, then the trial's gradients

    @property
    def gradients(self) -> Float[Tensor, "n rivals pixels"]:
        """The rows ∇m_j, in the order of `rivals`."""
        return self.vectors[:, -self.rivals.shape[1] :]

    @property
    def trial_gradients(self) -> Float[Tensor, "n rivals pixels"]:
        """Room for those of a trial point."""
        return self.scratch[:, -self.rivals.shape[1] :]


@dataclass
class Nearest:
    """The nearest successful point seen so far of every problem; the clean image and infinity where there is none."""

    points: Float[Tensor, "batch pixels"]
    squared_norm: Float[Tensor, " batch"]
    multiplier: Float[Tensor, " batch"]
    num_evals: Int[Tensor, " batch"]
    settled: Bool[Tensor, " batch"]  # arrived, or given up for a nearer row; neither lost nor cut short

    @staticmethod
    def nothing_yet(clean: Float[Tensor, "batch pixels"]) -> Nearest:
        """Return the state before the first point."""
        zero = torch.zeros(len(clean), dtype=clean.dtype, device=clean.device)
        none = torch.zeros_like(zero, dtype=torch.int64)
        return Nearest(clean.clone(), zero + torch.inf, zero + torch.nan, none, none.bool())

    def offer(self, row: Tensor, points: Tensor, squared_norm: Tensor, success: Tensor, multiplier: Tensor) -> None:
        """Count an evaluation of these rows, and keep the points that succeed and are nearer than what is known."""
        better = success & (squared_norm < self.squared_norm[row])
        rows = row[better]
        self.points[rows] = points[better]
        self.squared_norm[rows] = squared_norm[better]
        self.multiplier[rows] = multiplier[better]
        self.num_evals[row] += 1


@dataclass(frozen=True)
class Competition:
    """Rows that are alternatives: of those of one image only the nearest counts, so that others may be given up.

    A row may be given up for one that is only expected to be near. If that never arrives, the row has to walk again.
    """

    image: Int[Tensor, " batch"]  # of every row
    known: Float[Tensor, " images"]  # a squared distance that is reached already; infinite where there is none

    def knowing(self, squared_norm: Float[Tensor, " batch"]) -> Competition:
        """Return the competition where the rows have reached these squared distances, too."""
        return replace(self, known=self.known.scatter_reduce(0, self.image, squared_norm, "amin"))

    def best(self, squared_norm: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """Return for every row the smallest of its image."""
        return self.knowing(squared_norm).known[self.image]

    def rows(self, index: Tensor) -> Competition:
        """Return the competition of some of the rows."""
        return replace(self, image=self.image[index])
