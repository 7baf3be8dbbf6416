"""Beyond looking: whether units' favourite digits have more in common than random directions' (section 3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.units_rendering import render
from tutorial_pkg.metrics import error_rate
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.training import SgdRecipe, train_sgd
from tutorial_pkg.units import (
    STATISTICS,
    ImageSet,
    Profile,
    class_matched_sets,
    compare_statistics,
    effective_dimension,
    joint_readout,
    layer_features,
    live_units,
    scores_by_kind,
    set_statistics,
    top_sets,
)

LAYERS = ("pixels", "untrained", "pool", "hidden", "logits", "onehot")
"""The network's own, between controls: the pixels, an untrained network, and one unit a class made by hand."""

PAIRS = (("units", "uniform"), ("units", "chance"))
HIDDEN_PAIRS = (
    *PAIRS,
    ("units", "nonnegative"),
    ("units", "principal"),
    ("units", "matched"),
    ("uniform", "chance"),
)
"""What is compared with what: at every layer, and at the paper's, the last hidden one, in full."""


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        dataset: for `data.load_dataset`; its test part is the image set.
        epochs: of Conv's training.
        num_directions: of each kind; units of a layer that has more are drawn at random.
        ks: sizes of the top sets; the first is that of the tables.
        num_resamples: of the permutation tests and of the bootstrap.
        num_seeds: networks.
        seed: of the first.
    """

    dataset: str = "mnist"
    epochs: int = 5
    num_directions: int = 256
    ks: tuple[int, ...] = (8, 32, 128)
    num_resamples: int = 1999
    num_seeds: int = 3
    seed: int = 0


@dataclass(frozen=True)
class CellConfig:
    """One network."""

    dataset: str
    recipe: SgdRecipe
    num_directions: int
    ks: tuple[int, ...]
    num_resamples: int
    seed: int


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell for each network."""
    return {
        f"conv-seed{seed}": CellConfig(
            config.dataset,
            SgdRecipe("conv", epochs=config.epochs),
            config.num_directions,
            config.ks,
            config.num_resamples,
            seed,
        )
        for seed in range(config.seed, config.seed + config.num_seeds)
    }


def run(config: CellConfig, context: Context) -> Result:
    """Train Conv, and analyse its layers between two controls: no network at all, and perfect units."""
    data = context.dataset(config.dataset)
    model, _ = context.trained(config.recipe, data, config.seed, train_sgd)
    untrained, _ = train_sgd(replace(config.recipe, epochs=0), data, seed=config.seed, device=context.device)
    inputs = data.test_inputs.to(context.device)
    images = ImageSet.measure(data.test_inputs, data.test_labels)
    generator = torch.Generator().manual_seed(config.seed)
    layers, arrays = {}, {}
    for name in tqdm(LAYERS, disable=not context.progress, leave=False, unit="layer"):
        features = _features(name, model, untrained, inputs, data.test_labels, generator)
        layers[name], per_direction = _analyse(name == "hidden", features, images, config, generator)
        if name == "hidden":
            arrays = {kind: np.stack([v.numpy() for v in s.values()]) for kind, s in per_direction.items()}
    return Result(
        values={
            "test_error": error_rate(layer_features(model, inputs, "logits").cpu(), data.test_labels),
            "num_test": len(data.test_labels),
            "layers": layers,
        },
        arrays=arrays,
    )


def _features(
    name: str, model: LayeredModel, untrained: LayeredModel, inputs: Tensor, labels: Tensor, generator: torch.Generator
) -> Tensor:
    if name == "pixels":
        return inputs.flatten(1).cpu()
    if name == "onehot":
        onehot = torch.nn.functional.one_hot(labels).float()
        return onehot + 0.05 * torch.randn(onehot.shape, generator=generator)
    network, layer = (untrained, "hidden") if name == "untrained" else (model, name)
    return layer_features(network, inputs, layer).cpu()


def _analyse(
    in_full: bool, features: Tensor, images: ImageSet, config: CellConfig, generator: torch.Generator
) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """Return what a layer's record says, and every statistic of every direction at the first k."""
    ks = config.ks if in_full else config.ks[:1]
    scores = scores_by_kind(features, config.num_directions, k=ks[0], generator=generator)
    profiles = {kind: Profile.measure(s, images) for kind, s in scores.items()}
    ranked = {kind: top_sets(s, max(ks)) for kind, s in scores.items()}
    by_k: dict[str, Any] = {}
    samples: dict[str, dict[str, Tensor]] = {}
    for k in reversed(ks):  # the first k last: its samples are returned
        sets = {kind: s[:, :k] for kind, s in ranked.items()}
        alive = live_units(scores["units"], k)
        sets["units"] = sets["units"][alive]
        distinct = {kind: len(s.unique()) / s.numel() for kind, s in sets.items()}
        if in_full:
            sets["matched"] = class_matched_sets(sets["units"], images.labels, generator)
        samples = {kind: set_statistics(s, features, images) for kind, s in sets.items()}
        if k == ks[0]:
            samples = {
                kind: s | (profiles[kind].of_directions() if kind in profiles else {}) for kind, s in samples.items()
            }
        pairs = HIDDEN_PAIRS if in_full and k == ks[0] else PAIRS
        by_k[str(k)] = {
            "num_units": int(alive.sum()),
            "means": {kind: {name: float(v.mean()) for name, v in s.items()} for kind, s in samples.items()},
            "distinct": distinct,
            "comparisons": {
                f"{a}-{b}": compare_statistics(
                    samples[a], samples[b], STATISTICS, generator=generator, num_resamples=config.num_resamples
                )
                for a, b in pairs
            },
        }
    num_units = scores["units"].shape[1]
    values = {
        "dim": features.shape[1],
        "by_k": by_k,
        # The best of many is better than the best of few: as many of each kind as there are units.
        "readout": {kind: profile.of_factors(num_units) for kind, profile in profiles.items()}
        | {"together": joint_readout(scores["principal"], images)},
    }
    if in_full:
        values["effective_dimension"] = effective_dimension(features)
    return values, samples


CONFIGS = {
    "quick": Config(dataset="digits", num_directions=64, ks=(8, 16), num_resamples=999, num_seeds=1),
    "laptop": Config(),
}
CONFIGS["paper"] = replace(CONFIGS["laptop"], num_seeds=5)

EXPERIMENT = Experiment(
    name="units",
    title="Units against random directions, beyond looking",
    section="3",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
