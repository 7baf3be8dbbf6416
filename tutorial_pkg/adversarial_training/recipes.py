"""What was tried for each way of training, judged by the error on held-out training images, and what is used."""

from __future__ import annotations

from dataclasses import replace

from tutorial_pkg.adversarial_training.pools import PoolRecipe
from tutorial_pkg.adversarial_training.trainer import AdversarialRecipe

BASE = AdversarialRecipe(epochs=20, batch_size=500, optimizer="muon", learning_rate=0.03, weight_decay=1e-5)
LONG = replace(BASE, epochs=60)
"""For the ways that are compared at length: what is best in a short training need not be in a long one."""
ADAM_SUFFIX = ", Adam"
"""Of a candidate's name: the same setting as without it, with the other optimiser."""
ADAM = replace(LONG, batch_size=250, optimizer="adam", learning_rate=1e-2)
FRESH = PoolRecipe(source="linearised", capacity=BASE.batch_size, replaced=1.0, period=1)
"""The limit of a pool: replaced wholly before every step, so that no example is older than the network."""
STRETCHED = replace(FRESH, stretch=1.5, max_norm=2.0)
SMALL = replace(FRESH, stretch=0.2)


def _pooled(*pools: PoolRecipe) -> AdversarialRecipe:
    return replace(BASE, pools=pools)


def _input(base: AdversarialRecipe, decay: float, **changes: float) -> AdversarialRecipe:
    return replace(base, weight_decay=decay, pools=(replace(STRETCHED, capacity=base.batch_size, **changes),))  # type: ignore[arg-type]


def _hidden(layer: str) -> dict[str, AdversarialRecipe]:
    return {
        "to the boundary": _pooled(replace(FRESH, layer=layer)),
        "a fifth of the way": _pooled(replace(SMALL, layer=layer)),
        "to the boundary, training below": _pooled(replace(FRESH, layer=layer, trains_below=True)),
    }


def _every(decay: float, weight: float, small: float) -> AdversarialRecipe:
    hidden = (replace(SMALL, layer=layer, weight=small) for layer in ("hidden1", "hidden2"))
    return replace(LONG, weight_decay=decay, pools=(replace(STRETCHED, weight=weight), *hidden))


CANDIDATES: dict[str, dict[str, AdversarialRecipe]] = {
    "weight decay": {
        "λ = 1e-5": LONG,
        "λ = 3e-5": replace(LONG, weight_decay=3e-5),
        "λ = 1e-4": replace(LONG, weight_decay=1e-4),
        f"λ = 3e-5{ADAM_SUFFIX}": replace(ADAM, weight_decay=3e-5),
    },
    "dropout": {
        "0 / 0.1 / 0.1, λ = 1e-5": replace(LONG, dropout=(0.0, 0.1, 0.1)),
        "0.1 / 0.1 / 0.1, λ = 1e-5": replace(LONG, dropout=(0.1, 0.1, 0.1)),
        "0.2 / 0.1 / 0.1, λ = 1e-5": replace(LONG, dropout=(0.2, 0.1, 0.1)),
        "0.2 / 0.1 / 0.1, λ = 3e-6": replace(LONG, dropout=(0.2, 0.1, 0.1), weight_decay=3e-6),
        f"0.2 / 0.1 / 0.1, λ = 3e-6{ADAM_SUFFIX}": replace(ADAM, dropout=(0.2, 0.1, 0.1), weight_decay=3e-6),
        "0.3 / 0.1 / 0.1, λ = 1e-5": replace(LONG, dropout=(0.3, 0.1, 0.1)),
        "0.3 / 0.2 / 0.1, λ = 1e-5": replace(LONG, dropout=(0.3, 0.2, 0.1)),
    },
    "input": {
        "1.5 × the way, ‖r‖ ≤ 2, λ = 1e-5": _input(LONG, 1e-5),
        "1.5 × the way, ‖r‖ ≤ 2, λ = 1e-5, weight 0.5": _input(LONG, 1e-5, weight=0.5),
        "1.5 × the way, ‖r‖ ≤ 2, λ = 2e-5, weight 0.5": _input(LONG, 2e-5, weight=0.5),
        "2 × the way, ‖r‖ ≤ 2.5, λ = 1e-5, weight 0.5": _input(LONG, 1e-5, weight=0.5, stretch=2.0, max_norm=2.5),
        f"1.5 × the way, ‖r‖ ≤ 2, λ = 1e-5{ADAM_SUFFIX}": _input(ADAM, 1e-5),
    },
    "hidden 1": _hidden("hidden1"),
    "hidden 2": _hidden("hidden2"),
    "all": {
        f"λ = {decay}, hidden layers a fifth of the way, weights {weight:g}, {small:g}, {small:g}": _every(
            float(decay), weight, small
        )
        for decay, weight, small in (("1e-5", 1.0, 1.0), ("1e-5", 0.5, 0.2), ("2e-5", 0.5, 0.2), ("2e-5", 0.5, 0.05))
    },
    "noise": {f"‖r‖ = {norm:g}": _pooled(replace(FRESH, source="noise", max_norm=norm)) for norm in (1.5, 4.0)},
    "shift": {"by at most one pixel": _pooled(replace(FRESH, source="shift"))},
}
"""Way of training → what was tried → recipe."""

CHOSEN: dict[str, str] = {
    "weight decay": "λ = 3e-5",
    "dropout": "0.3 / 0.1 / 0.1, λ = 1e-5",
    "input": "1.5 × the way, ‖r‖ ≤ 2, λ = 2e-5, weight 0.5",
    "hidden 1": "a fifth of the way",
    "hidden 2": "a fifth of the way",
    "all": "λ = 2e-5, hidden layers a fifth of the way, weights 0.5, 0.2, 0.2",
    "noise": "‖r‖ = 4",
    "shift": "by at most one pixel",
}
"""Way of training → the candidate with the smallest error on held-out images in the committed search. Two candidates of
the input's pool tie there; this one had been tried for longer in a pilot run."""

POOL = replace(STRETCHED, capacity=10_000, replaced=0.05, period=5)
SENSITIVITY: dict[str, dict[float, AdversarialRecipe]] = {
    "capacity": {
        capacity: _pooled(replace(POOL, capacity=capacity, replaced=500 / capacity))
        for capacity in (1_000, 5_000, 25_000)
    },
    "replaced": {share: _pooled(replace(POOL, replaced=share)) for share in (0.01, 0.05, 0.2)},
    "stretch": {
        stretch: _pooled(replace(STRETCHED, stretch=stretch, max_norm=4.0)) for stretch in (0.5, 1.0, 2.0, 3.0)
    },
}
"""One thing at a time about a pool of images: its size with as many examples made, the share replaced in a round, and
how far they go."""

ATTACKED: dict[str, AdversarialRecipe] = {
    source: _pooled(replace(POOL, source=source, replaced=0.02)) for source in ("minimum_distortion", "linearised")
}
"""The paper's way of making examples and the first-order step, for the same pool of images."""
