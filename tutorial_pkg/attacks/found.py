"""What an attack found, a row an input, and how two of them become one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tutorial_pkg.attacks.margins import Classifier, succeeds
from tutorial_pkg.attacks.walk import Nearest

SHORTEST_PULL = 0.75  # of the ray to a point found, which is never that far inside
NUM_PULLS = 12


@dataclass(frozen=True)
class Found:
    """The nearest point found for every row; the clean input where there is none."""

    points: Float[Tensor, "n *shape"]
    success: Bool[Tensor, " n"]
    targets: Int[Tensor, " n"]
    squared_norm: Float[Tensor, " n"]
    c: Float[Tensor, " n"]
    num_evals: Int[Tensor, " n"]

    def put(self, rows: Int[Tensor, " m"], other: Found) -> None:
        """Overwrite these rows."""
        for name, mine in vars(self).items():
            mine[rows] = getattr(other, name)

    def rows(self, index: Tensor) -> Found:
        """Return the rows of an index or mask."""
        return Found(**{name: tensor[index] for name, tensor in vars(self).items()})


def nothing_yet(inputs: Tensor, targets: Tensor) -> Found:
    """Return no solution for any input."""
    zero = torch.zeros(len(inputs), dtype=inputs.dtype, device=inputs.device)
    none = torch.zeros_like(targets)
    return Found(inputs.clone(), none.bool(), targets.clone(), zero + torch.inf, zero + torch.nan, none)


def already_there(inputs: Tensor, targets: Tensor) -> Found:
    """Return the inputs themselves as solutions: D(x, f(x)) = x."""
    zero = torch.zeros(len(inputs), dtype=inputs.dtype, device=inputs.device)
    one = torch.ones_like(targets)
    return Found(inputs.clone(), one.bool(), targets.clone(), zero, zero + torch.inf, one)


def found_by(nearest: Nearest, inputs: Tensor, targets: Tensor) -> Found:
    """Return what a walk found."""
    # Both losses that a search may use have slope ½ at a tie: there 2c·r = ½·∇m, where the walks have r = λ·∇m.
    success, c = torch.isfinite(nearest.squared_norm), 1 / (4 * nearest.multiplier)
    points = nearest.points.reshape(inputs.shape)
    return Found(points, success, targets.clone(), nearest.squared_norm, c, nearest.num_evals)


def nearer(one: Found, other: Found) -> Found:
    """Return the nearer solution row by row, with the evaluations of both."""
    first = one.squared_norm < other.squared_norm
    picked = {}
    for name, mine in vars(one).items():
        column = first.reshape(-1, *([1] * (mine.ndim - 1)))
        picked[name] = torch.where(column, mine, getattr(other, name))
    picked["num_evals"] = one.num_evals + other.num_evals
    return Found(**picked)


def pull_back(model: Classifier, inputs: Tensor, found: Found) -> Found:
    """Bisect the ray from the clean image to the point found for the nearest success.

    What no walk has settled may be a little inside. Every point kept was itself evaluated.
    """
    column = (-1, *([1] * (inputs.ndim - 1)))
    points, squared_norm = found.points, found.squared_norm
    low, high = torch.full_like(squared_norm, SHORTEST_PULL), torch.ones_like(squared_norm)
    for _ in range(NUM_PULLS):
        middle = (low + high) / 2
        trial = torch.lerp(inputs, found.points, middle.reshape(column))
        inside = succeeds(model, trial, found.targets) & found.success
        low, high = torch.where(inside, low, middle), torch.where(inside, middle, high)
        points = torch.where(inside.reshape(column), trial, points)
    moved = (points - inputs).flatten(1).square().sum(1)
    norm = torch.where(found.success, moved, squared_norm)
    return replace(found, points=points, squared_norm=norm, num_evals=found.num_evals + NUM_PULLS)
