"""What is tried for the problems whose walk along the boundary is lost.

On a network full of kinks (ReLU, max pooling, many layers) it may never arrive: a gradient says little of what is
beyond the next kink, and a difference of gradients across kinks is not curvature. A walk along the smoothed boundary
starts again from the clean image, and its point is pulled back along the ray to that image until just inside the
boundary. With other noise it may end in another valley, so there are two such walks. Where the first walk's own point
is the nearer one, that walk was only slow, and goes on.

A class may fill only a corner of the box, where no walk from the clean image comes. Where nothing has been reached, the
distance is forgotten: what the margins lack is minimised in the box, and a walk starts where they lack nothing.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from tutorial_pkg.attacks.boundary import walk_boundary
from tutorial_pkg.attacks.found import Found, found_by, nearer, nothing_yet, pull_back
from tutorial_pkg.attacks.lbfgs import box_lbfgs
from tutorial_pkg.attacks.margins import Classifier, missing_margin, nearest_rivals, shortfall
from tutorial_pkg.attacks.smoothed_walk import NUM_STEPS, walk_smoothed
from tutorial_pkg.attacks.walk import Competition

NUM_WALKS = 2  # along the smoothed boundary; a large max_iter buys more
MAX_ITER_REACH = 300  # of the search for any point of a class
MAX_ITER_BACK = 30  # of the walk from it
WANTED = 1e-3  # of what the clean image lacks, the margin that search asks for


def start_again(
    model: Classifier,
    inputs: Tensor,
    walked: Found,
    *,
    box: tuple[float, float],
    max_iter: int,
    more: int,
    competition: Competition | None,
) -> Found:
    """Return the nearest points in the target classes.

    Args:
        model, inputs, box, max_iter: as for `minimum_distortion`.
        walked: what the first walk found before it was lost.
        more: how many steps that walk may still take, if it was only slow.
        competition: which rows are alternatives; those that fall behind are given up.
    """
    targets = walked.targets
    smoothed, given_up = _walk_smoothed(model, inputs, targets, box, max_iter, competition)
    best = pull_back(model, inputs, nearer(walked, smoothed))
    failed = (~best.success & ~given_up).nonzero()[:, 0]
    if len(failed):
        best.put(failed, nearer(_reach(model, inputs[failed], targets[failed], box), best.rows(failed)))
    # For kinks the first walk may have been left out; where nothing else has reached the class, it is made up for.
    unwalked = (~best.success & ~given_up & (walked.num_evals == 0)).nonzero()[:, 0]
    if len(unwalked):
        x, goal = inputs[unwalked], targets[unwalked]
        nearest = walk_boundary(model, x, goal, box=box, max_iter=max_iter)
        best.put(unwalked, nearer(found_by(nearest, x, goal), best.rows(unwalked)))
    slow = ((walked.squared_norm < smoothed.squared_norm) & ~given_up).nonzero()[:, 0]
    if len(slow) and more:
        x, goal = inputs[slow], targets[slow]
        nearest = walk_boundary(model, x, goal, box=box, max_iter=more, start=best.points[slow])
        best.put(slow, nearer(found_by(nearest, x, goal), best.rows(slow)))
    return best


def _walk_smoothed(
    model: Classifier,
    inputs: Tensor,
    targets: Tensor,
    box: tuple[float, float],
    max_iter: int,
    competition: Competition | None,
) -> tuple[Found, Bool[Tensor, " n"]]:
    """Walk along the smoothed boundary; also return which rows were given up.

    Where a walk succeeds there is another one with other noise. Two walks of 200 steps end nearer than one of 400: what
    is left to gain is mostly in another valley.
    """
    found = nothing_yet(inputs, targets)
    given_up = torch.zeros_like(found.success)
    for seed in range(max(NUM_WALKS, max_iter // NUM_STEPS)):
        rows = (~given_up & (found.success | (seed == 0))).nonzero()[:, 0]
        while len(rows):
            among = None if competition is None else competition.knowing(found.squared_norm).rows(rows)
            nearest = walk_smoothed(model, inputs[rows], targets[rows], box=box, seed=seed, competition=among)
            found.put(rows, nearer(found_by(nearest, inputs[rows], targets[rows]), found.rows(rows)))
            given_up[rows] = nearest.settled
            rows = rows[~nearest.settled & (nearest.num_evals < NUM_STEPS)]
    return found, given_up


def _reach(model: Classifier, inputs: Tensor, targets: Tensor, box: tuple[float, float]) -> Found:
    """Look for a point of the class anywhere in the box, and walk from there to the nearest one."""
    shape = inputs.shape[1:]
    num_evals = torch.zeros_like(targets)

    def value_and_grad(x: Tensor, targets: Tensor, wanted: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        num_evals[row] += 1
        value, gradient = shortfall(model, x.flatten(1), shape, targets, wanted)
        return value, gradient.reshape(x.shape)

    wanted = WANTED * missing_margin(model, inputs, targets)
    rows = (targets, wanted, torch.arange(len(inputs), device=inputs.device))
    points = box_lbfgs(value_and_grad, inputs, *box, per_problem=rows, max_iter=MAX_ITER_REACH, tolerance=0.0)
    there = nearest_rivals(model, points.flatten(1), shape, targets, num_rivals=1)
    success = there.margins.amin(dim=1) > there.tie
    r, slope = (points - inputs).flatten(1), there.gradients[:, 0]
    norm = torch.where(success, r.square().sum(1), torch.inf)
    # As of a point where r is λ·∇m.
    c = slope.square().sum(1) / (4 * (r * slope).sum(1).clamp(min=0))
    found = pull_back(model, inputs, Found(points, success, targets.clone(), norm, c, num_evals))
    reached = success.nonzero()[:, 0]
    if len(reached):
        x, goal = inputs[reached], targets[reached]
        nearest = walk_boundary(model, x, goal, box=box, max_iter=MAX_ITER_BACK, start=found.points[reached])
        found.put(reached, nearer(found_by(nearest, x, goal), found.rows(reached)))
    return found
