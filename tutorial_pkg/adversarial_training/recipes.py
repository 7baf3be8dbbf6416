"""What was tried for each way of training, judged by the error on held-out training images, and what is used."""

from __future__ import annotations

from dataclasses import replace

from tutorial_pkg.adversarial_training.pools import PoolRecipe
from tutorial_pkg.adversarial_training.trainer import AdversarialRecipe

BASE = AdversarialRecipe(epochs=20, learning_rate=1e-2, weight_decay=3e-5)
FRESH = PoolRecipe(source="linearised", capacity=250, replaced=1.0, period=1)
"""The limit of a pool: replaced wholly before every step, so that no example is older than the network."""
INPUT = replace(FRESH, stretch=1.5, max_norm=2.0)
SMALL = replace(FRESH, stretch=0.2)


def _pooled(*pools: PoolRecipe, **changes: float) -> AdversarialRecipe:
    return replace(BASE, pools=pools, **changes)  # type: ignore[arg-type]


def _hidden(layer: str) -> dict[str, AdversarialRecipe]:
    return {
        "to the boundary": _pooled(replace(FRESH, layer=layer)),
        "a fifth of the way": _pooled(replace(SMALL, layer=layer)),
        "to the boundary, training below": _pooled(replace(FRESH, layer=layer, trains_below=True)),
    }


CANDIDATES: dict[str, dict[str, AdversarialRecipe]] = {
    "weight decay": {f"λ = {decay:g}": replace(BASE, weight_decay=decay) for decay in (1e-5, 3e-5, 6e-5, 1e-4)},
    "dropout": {
        f"{' / '.join(f'{p:g}' for p in rates)}, λ = {decay:g}": replace(BASE, dropout=rates, weight_decay=decay)
        for rates, decay in (
            ((0.0, 0.1, 0.1), 1e-5),
            ((0.0, 0.1, 0.1), 3e-5),
            ((0.1, 0.1, 0.1), 1e-5),
            ((0.1, 0.1, 0.1), 3e-5),
        )
    },
    "input": {
        f"{pool.stretch:g} × the way, ‖r‖ ≤ {pool.max_norm:g}, λ = {decay:g}": _pooled(pool, weight_decay=decay)
        for pool, decay in (
            (replace(FRESH, stretch=1.0, max_norm=2.0), 3e-5),
            (INPUT, 1e-5),
            (INPUT, 3e-5),
            (INPUT, 6e-5),
            (replace(FRESH, stretch=2.0, max_norm=2.5), 3e-5),
        )
    },
    "hidden 1": _hidden("hidden1"),
    "hidden 2": _hidden("hidden2"),
    "all": {
        name: _pooled(INPUT, replace(pool, layer="hidden1"), replace(pool, layer="hidden2"))
        for name, pool in {
            "hidden layers a fifth of the way": SMALL,
            "hidden layers a fifth of the way, weight 0.2": replace(SMALL, weight=0.2),
        }.items()
    },
    "noise": {f"‖r‖ = {norm:g}": _pooled(replace(FRESH, source="noise", max_norm=norm)) for norm in (1.5, 4.0)},
    "shift": {"by at most one pixel": _pooled(replace(FRESH, source="shift"))},
}
"""Way of training → what was tried → recipe."""

CHOSEN: dict[str, str] = {
    "weight decay": "λ = 3e-05",
    "dropout": "0 / 0.1 / 0.1, λ = 3e-05",
    "input": "1.5 × the way, ‖r‖ ≤ 2, λ = 3e-05",
    "hidden 1": "a fifth of the way",
    "hidden 2": "a fifth of the way",
    "all": "hidden layers a fifth of the way, weight 0.2",
    "noise": "‖r‖ = 4",
    "shift": "by at most one pixel",
}
"""Way of training → the candidate that is used. Chosen by pilot runs on held-out images, of up to 150 epochs, before
the committed search was complete; the search says by how much another candidate is better in it."""

POOL = replace(INPUT, capacity=10_000, replaced=0.05, period=10)
SENSITIVITY: dict[str, dict[float, AdversarialRecipe]] = {
    "capacity": {
        capacity: _pooled(replace(POOL, capacity=capacity, replaced=500 / capacity))
        for capacity in (1_000, 5_000, 25_000)
    },
    "replaced": {share: _pooled(replace(POOL, replaced=share)) for share in (0.01, 0.05, 0.2)},
    "stretch": {stretch: _pooled(replace(INPUT, stretch=stretch, max_norm=4.0)) for stretch in (0.5, 1.0, 2.0, 3.0)},
}
"""One thing at a time about a pool of images: its size with as many examples made, the share replaced in a round, and
how far they go."""

ATTACKED: dict[str, AdversarialRecipe] = {
    source: _pooled(replace(POOL, source=source, replaced=0.02)) for source in ("minimum_distortion", "linearised")
}
"""The paper's way of making examples and the first-order step, for the same pool of images."""
