"""QuocNet: what its features know about cars that nobody told it about."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tutorial_pkg.data import ImageDataset
from tutorial_pkg.experiments import quocnet_rendering
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.car_detector import (
    POSITIVES,
    RECIPES,
    as_inputs,
    is_positive,
    stage_features,
    trained_quocnet,
    training_rows,
    untrained,
)
from tutorial_pkg.experiments.natural_images import DATASETS
from tutorial_pkg.models import QUOCNETS, LayeredModel
from tutorial_pkg.roc import auc, auc_difference, balanced_accuracy
from tutorial_pkg.stimulus import optimal_stimuli
from tutorial_pkg.training import LinearProbe, TicaRecipe, fit_linear_probe

PIXEL_SIDES = (64, 32, 16)
"""Images as they are, and averaged down: fewer pixels may be easier to learn from."""


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        dataset: for `data.load_images`.
        recipe: the network and its training without labels.
        positives: the classes that are cars.
        num_negatives: other training images that the classifiers learn from, beside all cars.
        num_units: units whose optimal stimulus is sought: the best single detectors of cars, and as many at random.
        num_images: images that a unit likes best, shown beside it.
        seed: of the network, and of what is drawn.
    """

    dataset: str
    recipe: TicaRecipe
    positives: tuple[str, ...]
    num_negatives: int = 10_000
    num_units: int = 3
    num_images: int = 8
    seed: int = 0


def cells(config: Config) -> dict[str, Config]:
    """Return the one cell: the trained network and what it is compared with."""
    return {f"trained-seed{config.seed}": config}


def run(config: Config, context: Context) -> Result:
    """Measure what QuocNet's features know."""
    images = context.images(config.dataset)
    model, training = trained_quocnet(config.recipe, images, config.seed, context)
    random_model, _ = trained_quocnet(untrained(config.recipe), images, config.seed, context)
    untied_model, untied_training = trained_quocnet(replace(config.recipe, tied=False), images, config.seed, context)
    labels, val_labels = (is_positive(y, images, config.positives) for y in (images.train_labels, images.val_labels))
    rows = training_rows(labels, config.num_negatives, torch.Generator().manual_seed(config.seed))
    found: dict[str, dict[str, Any]] = {}
    scores: dict[str, np.ndarray] = {}

    def assess(name: str, features: Tensor, val_features: Tensor) -> LinearProbe:
        probe = fit_linear_probe(features, labels[rows], generator=torch.Generator().manual_seed(config.seed))
        scores[name] = probe.scores(val_features).float().numpy()
        found[name] = _assessment(scores[name], val_labels) | {
            "num_features": features.shape[1],
            "strength": probe.strength,
            "held_out_auc": probe.held_out_auc,
        }
        return probe

    for side in PIXEL_SIDES:
        assess(f"pixels-{side}", _pixels(images.train_images[rows], side), _pixels(images.val_images, side))
    for kind, network in (("random", random_model), ("untied", untied_model), ("trained", model)):
        features = stage_features(network, images.train_images[rows], device=context.device)
        val_features = stage_features(network, images.val_images, device=context.device)
        for stage in features:
            assess(f"{kind}-{stage}", features[stage], val_features[stage])
    best_pixels = max((name for name in found if name.startswith("pixels")), key=lambda n: found[n]["auc"]["value"])
    for name, row in found.items():
        row["auc_minus_pixels"] = asdict(auc_difference(scores[name], scores[best_pixels], val_labels.numpy()))
    # The last features computed are those of the trained network.
    units = _units(features[stage], labels[rows], val_features[stage], val_labels, config)
    stimuli, arrays = _stimuli(model, stage, units, val_features[stage], images, context, config)
    return Result(
        values={
            "representations": found,
            "scored": list(scores),  # a record sorts names, and the rows of an array stay
            "best_pixels": best_pixels,
            "last": f"trained-{stage}",
            "training": asdict(training),
            "untied_training": asdict(untied_training),
            "num_weights": sum(p.numel() for p in model.parameters()),
            "num_train": len(images.train_images),
            "num_train_positive": int(labels.sum()),
            "num_fitted": len(rows),
            "num_val": len(val_labels),
            "num_val_positive": int(val_labels.sum()),
            "sides": QUOCNETS[config.recipe.model].sides(),
            "units": stimuli,
        },
        arrays={
            **arrays,
            "filters": _filters(model, random_model),
            "scores": np.stack(list(scores.values())),
            "is_positive": val_labels.to(torch.uint8).numpy(),
        },
    )


def _assessment(scores: np.ndarray, labels: Tensor) -> dict[str, Any]:
    truth = labels.numpy()
    return {
        "auc": asdict(auc(scores, truth)),
        "balanced_accuracy": balanced_accuracy(scores, truth),
        "accuracy": float(((scores > 0) == (truth == 1)).mean()),
        "recall": float((scores[truth == 1] > 0).mean()),
        "false_positive_rate": float((scores[truth == 0] > 0).mean()),
    }


def _pixels(images: Tensor, side: int) -> Tensor:
    return avg_pool2d(as_inputs(images), max(1, images.shape[2] // side)).flatten(1)


def _units(
    features: Tensor, labels: Tensor, val_features: Tensor, val_labels: Tensor, config: Config
) -> list[dict[str, Any]]:
    """Choose the units that detect cars best on the training images, and others at random."""
    ranks = features.argsort(0).argsort(0).double()
    num_positive = int(labels.sum())
    rank_sums = ranks[labels == 1].sum(0) - num_positive * (num_positive - 1) / 2
    areas = rank_sums / (num_positive * (len(labels) - num_positive))
    generator = torch.Generator().manual_seed(config.seed)
    best = areas.argsort(descending=True)[: config.num_units].tolist()
    drawn = torch.randperm(features.shape[1], generator=generator)[: config.num_units].tolist()
    return [
        {
            "unit": unit,
            "kind": kind,
            "auc": asdict(auc(val_features[:, unit].numpy(), val_labels.numpy())),
        }
        for kind, chosen in (("best", best), ("random", drawn))
        for unit in chosen
    ]


def _stimuli(
    model: LayeredModel,
    stage: str,
    units: list[dict[str, Any]],
    val_features: Tensor,
    images: ImageDataset,
    context: Context,
    config: Config,
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Compute what the units like best, and find what they like best among the validation images."""
    numbers = [unit["unit"] for unit in units]
    generator = torch.Generator().manual_seed(config.seed)
    shape = tuple(images.val_images.shape[1:])
    best, responses = optimal_stimuli(model, stage, numbers, shape=shape, generator=generator)
    top = val_features[:, numbers].topk(config.num_images, dim=0)
    described = [
        unit | {"response": float(responses[i]), "top_response": float(top.values[0, i])}
        for i, unit in enumerate(units)
    ]
    return described, {
        "stimuli": (best.cpu() * 255).round().to(torch.uint8).movedim(1, -1).numpy(),
        "top_images": images.val_images[top.indices.T].movedim(2, -1).numpy(),
    }


def _filters(model: LayeredModel, random_model: LayeredModel) -> np.ndarray:
    """Return the first stage's filters at three places of the image, before and after training, as bytes.

    `[2, 3, maps, size, size, 3]`: random, trained; a corner, the centre, the next place to the right of it.
    """
    rows = []
    for network in (random_model, model):
        filters = network.layers["filters1"]
        weight = filters.weight.detach().cpu()  # type: ignore[operator]
        side, size = int(filters.side), int(filters.size)  # type: ignore[arg-type]
        centre = (side // 2) * side + side // 2
        shown = weight[[0, centre, centre + 1]].transpose(1, 2)[:, :12]
        shown = shown / shown.abs().amax(2, keepdim=True).clamp(min=1e-12)
        rows.append(shown.unflatten(2, (3, size, size)).movedim(2, -1))
    return ((torch.stack(rows) + 1) * 127.5).round().to(torch.uint8).numpy()


CONFIGS = {
    profile: Config(
        DATASETS[profile],
        RECIPES[profile],
        POSITIVES[profile],
        num_units=2 if profile == "quick" else 3,
    )
    for profile in RECIPES
}

EXPERIMENT = Experiment(
    name="quocnet",
    title="QuocNet's features against pixels",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=quocnet_rendering.render,
)
