"""What the experiments with QuocNet share: a network trained without labels, and the cars that it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from tutorial_pkg.data import ImageDataset
from tutorial_pkg.experiments.base import Context
from tutorial_pkg.models import QUOCNETS, LayeredModel, quocnet
from tutorial_pkg.training import LinearProbe, TicaRecipe, TicaResult, fit_linear_probe, train_tica

CARS = ("n02814533", "n03100240", "n03670208", "n03977966", "n04285008")
"""Beach wagon, convertible, limousine, police van, sports car: every car of the 100 classes."""
FLOWER = tuple(f"flower, {side} {end}" for side in ("top", "bottom") for end in ("left", "right"))
"""What stands in for cars on a machine without data: the quarters of one of scikit-learn's two photographs."""

RECIPES = {
    "quick": TicaRecipe("quocnet-tiny", steps=30, batch_size=20),
    "laptop": TicaRecipe(),
    "paper": TicaRecipe("quocnet-large", steps=2000, batch_size=100),
}
POSITIVES = {"quick": FLOWER, "laptop": CARS, "paper": CARS}


def trained_quocnet(
    recipe: TicaRecipe, images: ImageDataset, seed: int, context: Context
) -> tuple[LayeredModel, TicaResult]:
    """Return the trained network, from the cache or from the stage where an interrupted run stopped."""
    model, result = context.trained(
        recipe,
        images,
        seed,
        train_tica,
        build=lambda: quocnet(QUOCNETS[recipe.model]).requires_grad_(False),
        result_type=TicaResult,
        resumable=True,
    )
    return model, result


def is_positive(labels: Int[Tensor, " n"], images: ImageDataset, positives: tuple[str, ...]) -> Int[Tensor, " n"]:
    """Return 1 for the images of the classes `positives`, and 0 for all others.

    Raises:
        ValueError: a class is not among the images.
    """
    missing = [name for name in positives if name not in images.class_ids]
    if missing:
        raise ValueError(f"{images.name} has no class {', '.join(missing)}; the car classifier needs them all")
    wanted = torch.tensor([images.class_ids.index(name) for name in positives])
    return torch.isin(labels, wanted).long()


def training_rows(labels: Int[Tensor, " n"], num_negatives: int, generator: torch.Generator) -> Int[Tensor, " rows"]:
    """Return every positive training image and at most `num_negatives` others, drawn at random."""
    negatives = (labels == 0).nonzero()[:, 0]
    chosen = torch.randperm(len(negatives), generator=generator)[:num_negatives]
    return torch.cat([(labels == 1).nonzero()[:, 0], negatives[chosen]])


def as_inputs(images: UInt8[Tensor, "n 3 height width"]) -> Float[Tensor, "n 3 height width"]:
    """Return bytes as what the network takes, in [0, 1]."""
    return images.float() / 255


@torch.no_grad()
def stage_features(
    model: LayeredModel, images: UInt8[Tensor, "n 3 height width"], *, device: str, batch_size: int = 50
) -> dict[str, Float[Tensor, "n features"]]:
    """Return the outputs of all stages, on the CPU: stage → a row an image."""
    names = [name for name in model.layer_names if name.startswith("stage")]
    parts: dict[str, list[Tensor]] = {name: [] for name in names}
    for batch in images.split(batch_size):
        for name, output in _outputs(model, as_inputs(batch).to(device)):
            if name in parts:
                parts[name].append(output.flatten(1).cpu())
    return {name: torch.cat(outputs) for name, outputs in parts.items()}


def detector(
    model: LayeredModel, images: ImageDataset, positives: tuple[str, ...], num_negatives: int, context: Context
) -> tuple[LayeredModel, LinearProbe]:
    """Fit the car classifier on the last stage's features, and write it into the layer "logits" of `model`."""
    labels = is_positive(images.train_labels, images, positives)
    rows = training_rows(labels, num_negatives, torch.Generator().manual_seed(0))
    features = stage_features(model, images.train_images[rows], device=context.device)
    last = max(features)
    probe = fit_linear_probe(features[last], labels[rows], generator=torch.Generator().manual_seed(0))
    linear = model.layers["logits"][-1]  # type: ignore[index]
    assert isinstance(linear, nn.Linear)
    probe.write_to(linear)
    return model, probe


def untrained(recipe: TicaRecipe) -> TicaRecipe:
    """Return the recipe of the same network with the random filters that training starts from."""
    return replace(recipe, steps=0)


def _outputs(model: LayeredModel, x: Tensor) -> Iterator[tuple[str, Tensor]]:
    for name, layer in model.layers.items():
        if name == "logits":
            break
        x = layer(x)
        yield name, x
