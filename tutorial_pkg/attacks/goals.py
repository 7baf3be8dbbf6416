"""From a batch of inputs and the classes wanted to the nearest points of these classes.

The default walks along the boundary. On a smooth network a walk arrives in about ten steps, and hardly ever needs more
than thirty. On a network full of kinks (ReLU, max pooling, many layers) it may never arrive: a gradient says little of
what is beyond the next kink, and a difference of gradients across kinks is not curvature. The problems that have not
arrived after `PATIENCE` steps, and only those, get a second start: the search over c with the hinge for the loss, whose
line search trusts values and not models of them; with the cross-entropy too where that reaches nothing. Its point is
pulled back along the ray to the clean image until just inside the boundary. Where the walk's own point is the nearer
one, the walk was only slow, and goes on.

A class may fill only a corner of the box, too small for any c of the search. Where nothing has been reached, the
distance is forgotten: what the margins lack is minimised in the box, and a walk starts where they lack nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tutorial_pkg.attacks.boundary import walk_boundary
from tutorial_pkg.attacks.lbfgs import box_lbfgs
from tutorial_pkg.attacks.margins import TIE_MARGIN, Classifier, margins, nearest_rivals, shortfall, succeeds
from tutorial_pkg.attacks.penalty_search import search_penalty

HINGE_TEMPERATURE = 0.02  # of loss="margin", as a share of what the clean image lacks of the target
MAX_ITER_WALK = 100
MAX_ITER_TRY = 15
MAX_ITER_REACH = 300  # of the search for any point of a class
WANTED = 1e-3  # of what the clean image lacks, the margin that search asks for
PATIENCE = 30  # steps of a walk, after which a problem that has not arrived gets a second start
SHORTEST_PULL = 0.75  # of the ray to a point found by the search, which is never that far inside
NUM_PULLS = 12


@dataclass(frozen=True)
class Options:
    """How to search, the same for every input; see `minimum_distortion`."""

    box: tuple[float, float]
    loss: str
    polish: bool
    max_iter: int | None
    num_search_steps: int


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


def already_there(inputs: Tensor, targets: Tensor) -> Found:
    """Return the inputs themselves as solutions: D(x, f(x)) = x."""
    zero = torch.zeros(len(inputs), dtype=inputs.dtype, device=inputs.device)
    evals = torch.ones_like(targets)
    yes = torch.ones_like(targets, dtype=torch.bool)
    return Found(inputs.clone(), yes, targets.clone(), zero, zero + torch.inf, evals)


def reach_targets(
    model: Classifier, inputs: Tensor, targets: Tensor, options: Options, image: Tensor | None = None
) -> Found:
    """Return the nearest points in the target classes, of inputs that are in none of them.

    Rows of one `image` compete: one that has fallen behind for good may be given up unfinished.
    """
    if options.loss == "margin" and options.polish:
        return _walk_with_second_start(model, inputs, targets, options, image)
    searched = _search(model, inputs, targets, options, options.loss, options.max_iter or MAX_ITER_TRY)
    if not options.polish:
        return searched
    limit = options.max_iter or MAX_ITER_WALK
    walked, _ = _walk(model, inputs, targets, options.box, limit, searched.points, image)
    both = nearer(walked, searched)
    return replace(both, c=torch.where(searched.success, searched.c, walked.c))


def _walk_with_second_start(
    model: Classifier, inputs: Tensor, targets: Tensor, options: Options, image: Tensor | None
) -> Found:
    """Walk; search over c for the rows that have not arrived, and keep the nearer point: see the module."""
    limit = options.max_iter or MAX_ITER_WALK
    first_limit = min(limit, PATIENCE)
    found, settled = _walk(model, inputs, targets, options.box, first_limit, None, image)
    # A smaller max_iter cuts walks short that might have arrived: only those that came to a halt are lost by then.
    # So which rows are searched for does not change with a larger max_iter, and their result cannot get worse.
    halted = found.num_evals <= first_limit
    lost = (~settled & (halted | (first_limit == PATIENCE))).nonzero()[:, 0]
    if len(lost) == 0:
        return found
    walked, x, goal = found.rows(lost), inputs[lost], targets[lost]
    searched = _search(model, x, goal, options, "margin", MAX_ITER_TRY)
    best = _pull_back(model, x, nearer(walked, searched))
    failed = (~best.success).nonzero()[:, 0]
    if len(failed):
        again = _search(model, x[failed], goal[failed], options, "cross_entropy", MAX_ITER_TRY)
        best.put(failed, nearer(_pull_back(model, x[failed], again), best.rows(failed)))
        failed = failed[~best.success[failed]]
    if len(failed):
        best.put(failed, nearer(_reach(model, x[failed], goal[failed], options.box), best.rows(failed)))
    slow = (walked.squared_norm < searched.squared_norm).nonzero()[:, 0]
    if len(slow) and limit > PATIENCE:
        rest, _ = _walk(model, x[slow], goal[slow], options.box, limit - PATIENCE, best.points[slow])
        best.put(slow, nearer(rest, best.rows(slow)))
    found.put(lost, best)
    return found


def _walk(
    model: Classifier,
    inputs: Tensor,
    targets: Tensor,
    box: tuple[float, float],
    max_iter: int,
    start: Tensor | None,
    image: Tensor | None = None,
) -> tuple[Found, Bool[Tensor, " n"]]:
    """Walk along the boundary; also return which rows need nothing more."""
    nearest = walk_boundary(model, inputs, targets, box=box, max_iter=max_iter, start=start, image=image)
    # Both losses that a search may use have slope ½ at a tie: there 2c·r = ½·∇m, where the walk has r = λ·∇m.
    success, c = torch.isfinite(nearest.squared_norm), 1 / (4 * nearest.multiplier)
    points = nearest.points.reshape(inputs.shape)
    return Found(points, success, targets.clone(), nearest.squared_norm, c, nearest.num_evals), nearest.settled


def _search(model: Classifier, inputs: Tensor, targets: Tensor, options: Options, loss: str, max_iter: int) -> Found:
    """Search over c, with the cross-entropy or the hinge for the loss."""
    gap = _gap(model, inputs, targets)
    solution = search_penalty(
        model,
        inputs,
        targets,
        box=options.box,
        temperature=torch.ones_like(gap) if loss == "cross_entropy" else HINGE_TEMPERATURE * gap,
        max_iter=max_iter,
        num_search_steps=options.num_search_steps,
    )
    norm = torch.where(solution.success, (solution.points - inputs).flatten(1).square().sum(1), torch.inf)
    return Found(solution.points, solution.success, targets.clone(), norm, solution.c, solution.num_evals)


def _gap(model: Classifier, inputs: Tensor, targets: Tensor) -> Float[Tensor, " n"]:
    """Return what the inputs lack of their targets; at a tie, where there is no gap to measure by, what a tie takes."""
    with torch.no_grad():
        logits = model(inputs)
    own = logits.gather(1, targets[:, None])[:, 0].abs()
    return torch.maximum(-margins(logits, targets).amin(dim=1), TIE_MARGIN * torch.where(own > 0, own, 1.0))


def _reach(model: Classifier, inputs: Tensor, targets: Tensor, box: tuple[float, float]) -> Found:
    """Look for a point of the class anywhere in the box, and walk from there to the nearest one."""
    shape = inputs.shape[1:]
    num_evals = torch.zeros_like(targets)

    def value_and_grad(x: Tensor, targets: Tensor, wanted: Tensor, row: Tensor) -> tuple[Tensor, Tensor]:
        num_evals[row] += 1
        value, gradient = shortfall(model, x.flatten(1), shape, targets, wanted)
        return value, gradient.reshape(x.shape)

    rows = (targets, WANTED * _gap(model, inputs, targets), torch.arange(len(inputs), device=inputs.device))
    points = box_lbfgs(value_and_grad, inputs, *box, per_problem=rows, max_iter=MAX_ITER_REACH, tolerance=0.0)
    there = nearest_rivals(model, points.flatten(1), shape, targets, num_rivals=1)
    success = there.margins.amin(dim=1) > there.tie
    r, slope = (points - inputs).flatten(1), there.gradients[:, 0]
    norm = torch.where(success, r.square().sum(1), torch.inf)
    # As of a point where r is λ·∇m.
    c = slope.square().sum(1) / (4 * (r * slope).sum(1).clamp(min=0))
    found = _pull_back(model, inputs, Found(points, success, targets.clone(), norm, c, num_evals))
    reached = success.nonzero()[:, 0]
    if len(reached):
        walked, _ = _walk(model, inputs[reached], targets[reached], box, PATIENCE, found.points[reached])
        found.put(reached, nearer(walked, found.rows(reached)))
    return found


def _pull_back(model: Classifier, inputs: Tensor, found: Found) -> Found:
    """Bisect the ray from the clean image to the point found for the nearest success.

    The hinge's minimisers at a searched c end a little inside. Every point kept was itself evaluated.
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


def nearer(one: Found, other: Found) -> Found:
    """Return the nearer solution row by row, with the evaluations of both."""
    first = one.squared_norm < other.squared_norm
    picked = {}
    for name, mine in vars(one).items():
        column = first.reshape(-1, *([1] * (mine.ndim - 1)))
        picked[name] = torch.where(column, mine, getattr(other, name))
    picked["num_evals"] = one.num_evals + other.num_evals
    return Found(**picked)
