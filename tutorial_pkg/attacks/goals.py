"""From inputs and the classes wanted to the nearest points of these classes, a batch at a time.

The default walks along the boundary. On a smooth network a walk arrives in about ten steps, and hardly ever needs more
than thirty. The problems that have not arrived by then are lost, and where there are many kinks all are, which three
gradients tell. The lost ones of all batches together get a second start.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from tutorial_pkg.attacks.boundary import walk_boundary
from tutorial_pkg.attacks.found import Found, found_by, nearer, nothing_yet
from tutorial_pkg.attacks.kinks import among_kinks
from tutorial_pkg.attacks.margins import Classifier, missing_margin
from tutorial_pkg.attacks.penalty_search import search_penalty
from tutorial_pkg.attacks.second_start import start_again
from tutorial_pkg.attacks.walk import Competition

HINGE_TEMPERATURE = 0.02  # of loss="margin", as a share of what the clean image lacks of the target
MAX_ITER_WALK = 100
MAX_ITER_TRY = 15
PATIENCE = 30  # steps of a walk, after which a problem that has not arrived gets a second start


@dataclass(frozen=True)
class Options:
    """How to search, the same for every input; see `minimum_distortion`."""

    box: tuple[float, float]
    loss: str
    polish: bool
    max_iter: int | None
    num_search_steps: int
    batch_size: int


def reach_targets(
    model: Classifier, inputs: Tensor, targets: Tensor, options: Options, image: Int[Tensor, " n"] | None = None
) -> Found:
    """Return the nearest points in the target classes, of inputs that are in none of them.

    Args:
        model: returns logits.
        inputs, targets: as many as there are; no more than `options.batch_size` of them are evaluated together.
        options: how to search.
        image: of every row, 0, 0, …, 1, 1, …. Rows of one image compete: those that fall behind may be given up.
    """
    if options.loss == "margin" and options.polish:
        return _walk_twice(model, inputs, targets, options, image)
    found = nothing_yet(inputs, targets)
    for rows in _batches(torch.arange(len(inputs), device=inputs.device), image, options.batch_size):
        competition = None if image is None else _competition(image, found.squared_norm).rows(rows)
        found.put(rows, _search(model, inputs[rows], targets[rows], options, competition))
    return found


def _walk_twice(model: Classifier, inputs: Tensor, targets: Tensor, options: Options, image: Tensor | None) -> Found:
    """Walk along the boundary; start again where the walk is lost, and keep the nearer point."""
    limit = options.max_iter or MAX_ITER_WALK
    found, lost = _first_walks(model, inputs, targets, options, min(limit, PATIENCE), image)
    competition = None
    if image is not None:
        competition = _competition(image, torch.where(lost, torch.inf, found.squared_norm))
    for rows in _batches(lost.nonzero()[:, 0], image, options.batch_size):
        again = start_again(
            model,
            inputs[rows],
            found.rows(rows),
            box=options.box,
            max_iter=limit,
            more=max(0, limit - PATIENCE),
            competition=None if competition is None else competition.rows(rows),
        )
        found.put(rows, again)
    return found


def _first_walks(
    model: Classifier, inputs: Tensor, targets: Tensor, options: Options, max_iter: int, image: Tensor | None
) -> tuple[Found, Bool[Tensor, " n"]]:
    """Walk from the clean images; also return which rows are lost.

    Where rows compete, the first one of each image goes ahead. The others are given up where they would have to go much
    farther, and untried where it is among kinks.
    """
    found = nothing_yet(inputs, targets)
    lost = torch.zeros_like(found.success)
    kinks = torch.zeros_like(lost)

    def walk(rows: Tensor, competition: Competition | None) -> None:
        for some in _batches(rows, image, options.batch_size):
            nearest = walk_boundary(
                model,
                inputs[some],
                targets[some],
                box=options.box,
                max_iter=max_iter,
                competition=None if competition is None else competition.rows(some),
            )
            found.put(some, found_by(nearest, inputs[some], targets[some]))
            # A smaller max_iter cuts walks short that might have arrived: only those that came to a halt are lost by
            # then. So which rows are lost does not change with a larger max_iter, and their result cannot get worse.
            lost[some] = ~nearest.settled & ((nearest.num_evals <= max_iter) | (max_iter == PATIENCE))

    first = torch.ones_like(lost) if image is None else torch.cat((image.new_ones(1), image.diff())).bool()
    for some in _batches(first.nonzero()[:, 0], image, options.batch_size):
        kinks[some] = among_kinks(model, inputs[some], targets[some], box=options.box)
    if image is not None:
        kinks = kinks[first][image]
    walk((first & ~kinks).nonzero()[:, 0], None)
    if image is not None:
        walk((~first & ~kinks).nonzero()[:, 0], _competition(image, found.squared_norm))
    return found, lost | kinks


def _search(
    model: Classifier, inputs: Tensor, targets: Tensor, options: Options, competition: Competition | None
) -> Found:
    """Search over c, with the cross-entropy or the hinge for the loss, and walk on from there if that is wanted."""
    gap = missing_margin(model, inputs, targets)
    solution = search_penalty(
        model,
        inputs,
        targets,
        box=options.box,
        temperature=torch.ones_like(gap) if options.loss == "cross_entropy" else HINGE_TEMPERATURE * gap,
        max_iter=options.max_iter or MAX_ITER_TRY,
        num_search_steps=options.num_search_steps,
    )
    norm = torch.where(solution.success, (solution.points - inputs).flatten(1).square().sum(1), torch.inf)
    searched = Found(solution.points, solution.success, targets.clone(), norm, solution.c, solution.num_evals)
    if not options.polish:
        return searched
    nearest = walk_boundary(
        model,
        inputs,
        targets,
        box=options.box,
        max_iter=options.max_iter or MAX_ITER_WALK,
        start=searched.points,
        competition=competition,
    )
    walked = found_by(nearest, inputs, targets)
    return replace(nearer(walked, searched), c=torch.where(searched.success, searched.c, walked.c))


def _competition(image: Tensor, squared_norm: Tensor) -> Competition:
    """Return the competition of the rows of each image, of which these distances are known."""
    return Competition(image, squared_norm.new_full((int(image[-1]) + 1,), torch.inf)).knowing(squared_norm)


def _batches(rows: Int[Tensor, " n"], image: Tensor | None, size: int) -> Iterator[Int[Tensor, " m"]]:
    """Yield the rows, `size` at a time, and all those of one image together."""
    if len(rows) == 0:
        return
    if image is None:
        yield from rows.split(size)
        return
    _, counts = torch.unique_consecutive(image[rows], return_counts=True)
    images_at_a_time = max(1, size // int(counts.max()))
    yield from rows.split([int(some.sum()) for some in counts.split(images_at_a_time)])
