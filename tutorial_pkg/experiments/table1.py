"""Table 1: errors of the six MNIST models, and the distortion that changes their minds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.table1_rendering import render
from tutorial_pkg.experiments.targets import random_other_classes
from tutorial_pkg.metrics import error_rate
from tutorial_pkg.models import batched_logits
from tutorial_pkg.training import TABLE1_RECIPES, Recipe, limited, train


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        dataset: for `data.load_dataset`.
        num_attacked: training images attacked a model; None for all.
        num_nearest: at most as many of them are attacked towards every other class, which costs several times as much.
        num_seeds: networks trained a row.
        seed: of the first.
        max_iter: a limit on training that overrides the recipes'; None for none.
    """

    dataset: str = "mnist"
    num_attacked: int | None = 2000
    num_nearest: int = 10_000
    num_seeds: int = 1
    seed: int = 0
    max_iter: int | None = None


@dataclass(frozen=True)
class CellConfig:
    """One model with one seed."""

    dataset: str
    name: str
    recipe: Recipe
    num_attacked: int | None
    num_nearest: int
    seed: int


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell for each model and seed."""
    result = {}
    for seed in range(config.seed, config.seed + config.num_seeds):
        for name, recipe in TABLE1_RECIPES.items():
            used = limited(recipe, config.max_iter)
            result[f"{name}-seed{seed}"] = CellConfig(
                config.dataset, name, used, config.num_attacked, config.num_nearest, seed
            )
    return result


def run(config: CellConfig, context: Context) -> Result:
    """Train the model, measure its errors and attack a sample of its training images.

    A fresh forward pass decides what counts as a success. The images attacked are those classified correctly.
    """
    data = context.dataset(config.dataset)
    model, training = context.trained(config.recipe, data, config.seed, train)
    generator = torch.Generator().manual_seed(config.seed)
    chosen = torch.randperm(len(data.train_labels), generator=generator)[: config.num_attacked]
    inputs = data.train_inputs[chosen].to(context.device)
    labels = data.train_labels[chosen].to(context.device)
    correct = batched_logits(model, inputs, device=context.device).argmax(1) == labels
    inputs, labels = inputs[correct], labels[correct]
    targets = random_other_classes(labels, data.num_classes, generator)

    to_target = minimum_distortion(model, inputs, targets=targets, progress=context.progress)
    by_penalty = minimum_distortion(
        model, inputs, targets=targets, loss="cross_entropy", polish=False, progress=context.progress
    )
    few, their_labels = inputs[: config.num_nearest], labels[: config.num_nearest]
    nearest = minimum_distortion(model, few, labels=their_labels, progress=context.progress)
    reached = batched_logits(model, to_target.adv_inputs, device=context.device).argmax(1) == targets
    fooled = batched_logits(model, nearest.adv_inputs, device=context.device).argmax(1) != their_labels
    targeted_rms = to_target.rms_distortion.cpu().double().numpy()
    penalty_rms = by_penalty.rms_distortion.cpu().double().numpy()
    nearest_rms = nearest.rms_distortion.cpu().double().numpy()

    def error_on(images: Tensor, classes: Tensor) -> float:
        return error_rate(batched_logits(model, images, device=context.device), classes.to(context.device))

    return Result(
        values={
            "train_error": error_on(data.train_inputs, data.train_labels),
            "test_error": error_on(data.test_inputs, data.test_labels),
            "training_iterations": training.iterations,
            "training_converged": training.converged,
            "num_attacked": len(labels),
            "num_nearest": len(their_labels),
            "success_targeted": float(reached.float().mean()),
            "success_nearest": float(fooled.float().mean()),
            "distortion_random_target_mean": float(targeted_rms.mean()),
            "distortion_random_target_rms": float(np.sqrt(np.square(targeted_rms).mean())),
            "success_penalty": float(by_penalty.success.float().mean()),
            "distortion_penalty_mean": float(penalty_rms.mean()),
            "distortion_penalty_rms": float(np.sqrt(np.square(penalty_rms).mean())),
            "distortion_nearest_mean": float(nearest_rms.mean()),
            "distortion_nearest_max": float(nearest_rms.max()),
        },
        arrays={
            "targeted_rms": targeted_rms.astype(np.float32),
            "nearest_rms": nearest_rms.astype(np.float32),
        },
    )


CONFIGS = {
    "quick": Config(dataset="digits", num_attacked=100, max_iter=60),
    "laptop": Config(),
}
CONFIGS["paper"] = replace(CONFIGS["laptop"], num_attacked=None, num_seeds=3)

EXPERIMENT = Experiment(
    name="table1",
    title="Errors and minimum distortions of the MNIST models",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
