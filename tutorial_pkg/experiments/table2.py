"""Table 2: every model's adversarial examples, and Gaussian noise, on every model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tutorial_pkg.attacks import gaussian_noise, minimum_distortion
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.table2_rendering import render
from tutorial_pkg.experiments.targets import random_other_classes
from tutorial_pkg.experiments.transfer_cells import mean_with_interval, transfer_values
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.training import TABLE1_RECIPES, Recipe, limited, train
from tutorial_pkg.transfer import TransferTable, same_norm_noise, transfer_table

MODELS = tuple(TABLE1_RECIPES)
AUTOENCODER = "AE400-10"
STDDEVS = (0.1, 0.3)


@dataclass(frozen=True)
class Config:
    """Size of the experiment; the models are those of Table 1, by the same recipes and seeds.

    Attributes:
        num_images: training images distorted, the same ones for every model; None for all.
        num_seeds: sets of six models.
        seed: of the first.
        max_iter: a limit on training that overrides the recipes'; None for none.
    """

    dataset: str = "mnist"
    num_images: int | None = 2000
    num_seeds: int = 1
    seed: int = 0
    max_iter: int | None = None


@dataclass(frozen=True)
class CellConfig:
    """One set of six models."""

    dataset: str
    recipes: Mapping[str, Recipe]
    num_images: int | None
    seed: int


@dataclass(frozen=True)
class Attacked:
    """The six models and their adversarial examples for the same images and the same target classes."""

    models: Mapping[str, LayeredModel]
    inputs: Tensor
    labels: Tensor
    adv_inputs: Mapping[str, Tensor]
    values: Mapping[str, Any]


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell a seed."""
    recipes = {name: limited(recipe, config.max_iter) for name, recipe in TABLE1_RECIPES.items()}
    return {
        f"seed{seed}": CellConfig(config.dataset, recipes, config.num_images, seed)
        for seed in range(config.seed, config.seed + config.num_seeds)
    }


def attack_every_model(config: CellConfig, context: Context) -> Attacked:
    """Distort a random sample of training images for each model, whether or not the model had them right.

    The paper distorts "training sets", whole ones: with the images that were wrong left out, its softmax3
    could not err on 21 % of the examples for N100-100-10, just its training error.
    """
    data = context.dataset(config.dataset)
    models = {name: context.trained(recipe, data, config.seed, train)[0] for name, recipe in config.recipes.items()}
    generator = torch.Generator().manual_seed(config.seed)
    chosen = torch.randperm(len(data.train_labels), generator=generator)[: config.num_images]
    inputs = data.train_inputs[chosen].to(context.device)
    labels = data.train_labels[chosen].to(context.device)
    targets = random_other_classes(labels, data.num_classes, generator)
    adv_inputs, success, distortion = {}, {}, {}
    for name, model in models.items():
        attack = minimum_distortion(model, inputs, targets=targets, progress=context.progress)
        rms = attack.rms_distortion[attack.success].cpu().double()
        adv_inputs[name], success[name] = attack.adv_inputs, float(attack.success.float().mean())
        distortion[name] = {"mean": float(rms.mean()), "rms": float(rms.square().mean().sqrt())}
    return Attacked(models, inputs, labels, adv_inputs, {"success": success, "distortion": distortion})


def run(config: CellConfig, context: Context) -> Result:
    """Feed each model's examples, noise of the same norms and Gaussian noise to every model."""
    attacked = attack_every_model(config, context)
    generator = torch.Generator().manual_seed(config.seed + 1)
    inputs = attacked.inputs
    examples = dict(attacked.adv_inputs)
    for name in MODELS:
        examples[noise_row(name)] = same_norm_noise(inputs, attacked.adv_inputs[name], generator=generator)
    for stddev in STDDEVS:
        examples[f"gaussian-{stddev:g}"] = gaussian_noise(inputs, stddev=stddev, generator=generator, box=None)
    table = transfer_table(attacked.models, inputs, labels=attacked.labels, examples=examples)

    def p_values(control: Mapping[str, str]) -> dict[str, dict[str, float]]:
        return {
            row: {column: table.p_value(row, control[row], column) for column in MODELS if column != row}
            for row in MODELS
        }

    return Result(
        values={
            **attacked.values,
            **transfer_values(table),
            "p_over_same_norm_noise": p_values({name: noise_row(name) for name in MODELS}),
            "p_over_gaussian-0.1": p_values(dict.fromkeys(MODELS, "gaussian-0.1")),
            "autoencoder_minus": {
                other: resilience(table, AUTOENCODER, other, seed=config.seed)
                for other in MODELS
                if other != AUTOENCODER
            },
        }
    )


def noise_row(name: str) -> str:
    """Return the row of noise whose norms are those of a model's examples."""
    return f"{name} noise"


def resilience(table: TransferTable, first: str, second: str, *, seed: int) -> dict[str, float]:
    """Return how much less often `first` errs than `second`, on examples made for neither of them.

    A mean over sources and over images that both had right, with the percentile bootstrap's 95 % interval
    over images; negative means that `first` is the more resilient.
    """
    a, b = table.columns.index(first), table.columns.index(second)
    rows = [table.rows.index(name) for name in MODELS if name not in (first, second)]
    both_right = ~table.wrong_before[a] & ~table.wrong_before[b]
    errors = table.wrong[rows][:, [a, b]].cpu().double().mean(0)[:, both_right]
    return mean_with_interval((errors[0] - errors[1]).numpy(), seed=seed)


CONFIGS = {
    "quick": Config(dataset="digits", num_images=100, max_iter=60),
    "laptop": Config(),
}
CONFIGS["paper"] = replace(CONFIGS["laptop"], num_images=None, num_seeds=3)

EXPERIMENT = Experiment(
    name="table2",
    title="Every model's adversarial examples on every model",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
