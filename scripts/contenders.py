"""What `benchmark.py` compares: this engine in its modes, published attacks, and the engine with one part changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peers import Attack, Run, peers
from torch import Tensor, nn

from tutorial_pkg.attacks import (
    boundary,
    goals,
    kinks,
    minimum_distortion,
    quasi_newton,
    second_start,
    smoothed_walk,
)
from tutorial_pkg.attacks.found import Found, pull_back


def attacks() -> Iterator[Attack]:
    """Yield this engine's modes, then the peers that are installed."""
    yield Attack("ours: boundary walk (default)", "targeted", ours())
    yield Attack("ours: the paper's search over c", "targeted", ours(loss="cross_entropy", polish=False))
    yield Attack("ours: the paper's search, polished", "targeted", ours(loss="cross_entropy"))
    yield Attack("ours: nearest class", "untargeted", ours("labels"))
    yield from peers()


def ours(goal: str = "targets", loss: str = "margin", polish: bool = True) -> Run:
    """Return this engine in one of its modes."""

    def run(model: nn.Module, inputs: Tensor, classes: Tensor) -> Tensor:
        if goal == "labels":
            return minimum_distortion(model, inputs, labels=classes, loss=loss, polish=polish).adv_inputs
        return minimum_distortion(model, inputs, targets=classes, loss=loss, polish=polish).adv_inputs

    return run


def ablations_of_walk() -> list[Attack]:
    """Return the engine as it is, and with one part of the walk along the boundary left out or changed at a time."""
    walk, nearest = ours(), ours("labels")
    return [
        Attack("as it is", "targeted", walk),
        Attack("no curvature: H = 1", "targeted", changed(walk, quasi_newton, MIN_CURVATURE=float("inf"))),
        Attack("one rival a constraint", "targeted", changed(walk, boundary, MAX_RIVALS=1)),
        Attack("four rivals constraints", "targeted", changed(walk, boundary, MAX_RIVALS=4)),
        Attack("no gradual approach", "targeted", changed(walk, boundary, APPROACH=1)),
        Attack("no overshoot", "targeted", changed(walk, boundary, OVERSHOOT=0.0)),
        Attack("steps grow by 2", "targeted", changed(walk, boundary, STEP_GROWTH=2.0)),
        Attack("history of 2 pairs", "targeted", changed(walk, boundary, HISTORY_SIZE=2)),
        Attack("history of 12 pairs", "targeted", changed(walk, boundary, HISTORY_SIZE=12)),
        Attack("as it is", "untargeted", nearest),
        Attack("no pruning of targets", "untargeted", changed(nearest, boundary, PRUNE_SLACK=float("inf"))),
    ]


def ablations_of_second_start() -> list[Attack]:
    """Return the engine as it is, and with one part left out or changed at a time of what it does among kinks."""

    def none(model: nn.Module, inputs: Tensor, walked: Found, **options: Any) -> Found:
        return pull_back(model, inputs, walked)

    walk, nearest = ours(), ours("labels")
    unseen, once = (changed(walk, kinks, ROUGH=float("inf")), changed(walk, second_start, NUM_WALKS=1))
    return [
        Attack("as it is", "targeted", walk),
        Attack("kinks not looked for", "targeted", unseen),
        Attack("nor a second start", "targeted", changed(unseen, goals, start_again=none)),
        Attack("one smoothed walk", "targeted", once),
        Attack("one, of 400 steps", "targeted", changed(once, smoothed_walk, NUM_STEPS=400)),
        Attack("three smoothed walks", "targeted", changed(walk, second_start, NUM_WALKS=3)),
        Attack("no noise", "targeted", changed(walk, smoothed_walk, NOISE=0.0)),
        Attack("noise to the end of the walk", "targeted", changed(walk, smoothed_walk, NOISE_ENDS=0.99)),
        Attack("no average of gradients", "targeted", changed(walk, smoothed_walk, MOMENTUM=0.0)),
        Attack("as it is", "untargeted", nearest),
        Attack("no target given up", "untargeted", changed(nearest, smoothed_walk, FIRST_PRUNE=2.0)),
    ]


def changed(run: Run, module: object, **constants: object) -> Run:
    """Return `run` with other constants or functions in a module."""

    @contextmanager
    def replaced() -> Iterator[None]:
        before = {name: getattr(module, name) for name in constants}
        vars(module).update(constants)
        try:
            yield
        finally:
            vars(module).update(before)

    def other(model: nn.Module, inputs: Tensor, classes: Tensor) -> Tensor:
        with replaced():
            return run(model, inputs, classes)

    return other
