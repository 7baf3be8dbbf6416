"""From a batch of inputs and the classes wanted to the nearest points: targeted, and nearest of all classes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from tutorial_pkg.attacks.boundary import walk_boundary
from tutorial_pkg.attacks.margins import Classifier, margins
from tutorial_pkg.attacks.penalty_search import search_penalty

HINGE_TEMPERATURE = 0.02  # of loss="margin", as a share of what the clean image lacks of the target
MAX_ITER_WALK = 100
MAX_ITER_TRY = 15
WAVE = 9  # targets of one image tried together in an untargeted attack


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
    start = searched = None
    if options.loss == "cross_entropy" or not options.polish:
        with torch.no_grad():
            gap = -margins(model(inputs), targets).amin(dim=1)
        one = torch.ones_like(gap)
        temperature = one if options.loss == "cross_entropy" else HINGE_TEMPERATURE * gap
        solution = search_penalty(
            model,
            inputs,
            targets,
            box=options.box,
            temperature=temperature,
            max_iter=options.max_iter or MAX_ITER_TRY,
            num_search_steps=options.num_search_steps,
        )
        start = solution.points
        norm = torch.where(solution.success, (start - inputs).flatten(1).square().sum(1), torch.inf)
        searched = Found(start, solution.success, targets, norm, solution.c, solution.num_evals)
    if searched is not None and not options.polish:
        return searched
    nearest = walk_boundary(
        model,
        inputs,
        targets,
        box=options.box,
        max_iter=options.max_iter or MAX_ITER_WALK,
        start=start,
        image=image,
    )
    walked = Found(
        nearest.points.reshape(inputs.shape),
        torch.isfinite(nearest.squared_norm),
        targets,
        nearest.squared_norm,
        1 / (2 * nearest.multiplier),
        nearest.num_evals,
    )
    return walked if searched is None else _nearer(walked, searched)


def reach_nearest(model: Classifier, inputs: Tensor, labels: Tensor, logits: Tensor, options: Options) -> Found:
    """Return the nearest points of any other class, of inputs that are classified as labelled.

    The classes are tried in the order of the clean logits, nine at a time, and the nine compete. An image for
    which nine brought nothing nearer tries no further ones; with ten classes or fewer all are tried.
    """
    others = logits.scatter(1, labels[:, None], -torch.inf).argsort(dim=1, descending=True)[:, :-1]
    best: Found | None = None
    running = torch.arange(len(inputs), device=inputs.device)
    for wave in others.split(WAVE, dim=1):
        num = wave.shape[1]
        copies = running.repeat_interleave(num)
        image = torch.arange(len(running), device=inputs.device).repeat_interleave(num)
        tried = reach_targets(model, inputs[copies], wave[running].flatten(), options, image)
        first = torch.where(tried.success, tried.squared_norm, torch.inf).reshape(-1, num).argmin(dim=1)
        nearest = tried.rows(first + num * torch.arange(len(running), device=inputs.device))
        nearest.num_evals.copy_(tried.num_evals.reshape(-1, num).sum(dim=1))
        if best is None:
            best = nearest
            continue
        merged = _nearer(nearest, best.rows(running))
        improved = merged.squared_norm < best.squared_norm[running]
        best.put(running, merged)
        running = running[improved]
        if len(running) == 0:
            break
    assert best is not None
    return best


def _nearer(one: Found, other: Found) -> Found:
    """Return the nearer solution row by row, with the evaluations of both; c stays that of the search over c."""
    first = one.squared_norm < other.squared_norm
    picked = {}
    for name, mine in vars(one).items():
        column = first.reshape(-1, *([1] * (mine.ndim - 1)))
        picked[name] = torch.where(column, mine, getattr(other, name))
    picked["num_evals"] = one.num_evals + other.num_evals
    return Found(**picked)
