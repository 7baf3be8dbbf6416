"""Figures 3 and 4: validation photographs that excite single units, and random directions, of AlexNet most."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.figures3_4_rendering import render
from tutorial_pkg.experiments.natural_images import DATASETS, RECIPES, as_bytes, trained_alexnet, validation_inputs
from tutorial_pkg.training import ImageRecipe, train_images
from tutorial_pkg.units import (
    class_auc,
    class_matched_sets,
    class_share,
    compare_statistics,
    entropy,
    layer_features,
    live_units,
    mean_pairwise_distance,
    purity,
    scores_by_kind,
    top_sets,
)

STATISTICS = {
    "purity": 1,
    "entropy": -1,
    "pixel_distance": -1,
    "colour_distance": -1,
    "feature_distance": -1,
    "class_auc": 1,
    "class_share": 1,
}
"""Name → whether more of it (1) or less of it (−1) means more in common. The last two are about directions and use
all images."""

SHOWN = ("pixels", "pool5", "fc2", "logits")
"""The layers whose top images are kept, to be looked at."""

PAIRS = (("units", "uniform"), ("units", "chance"), ("uniform", "chance"), ("units", "matched"))


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        dataset: for `data.load_images`; its validation part is the image set.
        recipe: the network and its training.
        layers: of the network; "pixels" and "untrained", the last hidden layer before training, are the controls.
        num_directions: of each kind; units of a layer that has more are drawn at random.
        k: images of a top set.
        num_resamples: of the permutation tests and of the bootstrap.
        num_rows: units, and random directions, of a figure.
        seed: of the network, the units and the directions.
    """

    dataset: str
    recipe: ImageRecipe
    layers: tuple[str, ...] = ("pixels", "untrained", "conv3", "pool5", "fc1", "fc2", "logits")
    num_directions: int = 256
    k: int = 8
    num_resamples: int = 1999
    num_rows: int = 3
    seed: int = 0


@dataclass(frozen=True)
class CellConfig:
    """One layer."""

    dataset: str
    recipe: ImageRecipe
    layer: str
    num_directions: int
    k: int
    num_resamples: int
    num_rows: int
    seed: int


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell for each layer."""
    return {
        f"{layer}-seed{config.seed}": CellConfig(
            config.dataset,
            config.recipe,
            layer,
            config.num_directions,
            config.k,
            config.num_resamples,
            config.num_rows,
            config.seed,
        )
        for layer in config.layers
    }


def run(config: CellConfig, context: Context) -> Result:
    """Find the top images of units and of random directions, and ask what they have in common."""
    images = context.images(config.dataset)
    inputs, labels = validation_inputs(config.recipe, images), images.val_labels
    features = _features(config, context, inputs)
    generator = torch.Generator().manual_seed(config.seed)
    scores = scores_by_kind(features, config.num_directions, k=config.k, generator=generator)
    sets = {kind: top_sets(scores[kind], config.k) for kind in ("units", "uniform", "chance")}
    sets["matched"] = class_matched_sets(sets["units"], labels, generator)
    samples = {kind: _of_sets(s, features, inputs, labels) for kind, s in sets.items()}
    for kind in ("units", "uniform", "chance"):
        samples[kind] |= {
            "class_auc": class_auc(scores[kind], labels).amax(1),
            "class_share": class_share(scores[kind], labels).amax(1),
        }
    shown = {kind: sets[kind][: config.num_rows] for kind in ("units", "uniform")} | {"chance": sets["chance"][:1]}
    return Result(
        values={
            "dim": features.shape[1],
            "num_live": int(live_units(features, config.k).sum()),
            "num_sets": len(sets["units"]),
            "num_images": len(labels),
            "means": {kind: {name: float(v.mean()) for name, v in found.items()} for kind, found in samples.items()},
            "comparisons": {
                f"{a}-{b}": compare_statistics(
                    samples[a], samples[b], STATISTICS, generator=generator, num_resamples=config.num_resamples
                )
                for a, b in PAIRS
            },
            "classes": {kind: [[images.class_names[i] for i in row] for row in labels[s]] for kind, s in shown.items()},
        },
        arrays={kind: as_bytes(inputs[s]) for kind, s in shown.items()} if config.layer in SHOWN else {},
    )


def _features(config: CellConfig, context: Context, inputs: Tensor) -> Tensor:
    """Return what a layer makes of all images, a row an image."""
    if config.layer == "pixels":
        return inputs.flatten(1)
    images = context.images(config.dataset)
    if config.layer == "untrained":
        recipe, layer = replace(config.recipe, epochs=0), "fc2"
        model, _ = train_images(recipe, images, seed=config.seed, device=context.device)
    else:
        layer = config.layer
        model, _ = trained_alexnet(config.recipe, images, config.seed, context)
    parts = [layer_features(model, part.to(context.device), layer).cpu() for part in inputs.split(250)]
    return torch.cat(parts)


def _of_sets(
    sets: Int[Tensor, "sets k"],
    features: Float[Tensor, "images units"],
    inputs: Float[Tensor, "images 3 height width"],
    labels: Int[Tensor, " images"],
) -> dict[str, Tensor]:
    """Return what the images of each set have in common: `STATISTICS` but the last two."""
    return {
        "purity": purity(labels[sets]),
        "entropy": entropy(labels[sets]),
        "pixel_distance": mean_pairwise_distance(inputs, sets),
        "colour_distance": mean_pairwise_distance(inputs.mean((2, 3)), sets),
        "feature_distance": mean_pairwise_distance(features, sets),
    }


CONFIGS = {profile: Config(DATASETS[profile], RECIPES[profile]) for profile in ("laptop", "paper")}
CONFIGS["quick"] = Config(
    DATASETS["quick"],
    RECIPES["quick"],
    layers=("pixels", "untrained", "fc2"),
    num_directions=32,
    k=6,
    num_resamples=999,
    num_rows=3,
)

EXPERIMENT = Experiment(
    name="figures3_4",
    title="Photographs that excite units and random directions",
    section="3",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
