"""Tables 3 and 4: do adversarial examples carry over to a model trained on other images?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from tutorial_pkg.attacks import gaussian_noise, minimum_distortion
from tutorial_pkg.data import split_halves
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.tables3_4_rendering import render
from tutorial_pkg.experiments.targets import random_other_classes
from tutorial_pkg.experiments.transfer_cells import mean_with_interval, transfer_values
from tutorial_pkg.training import TABLE1_RECIPES, Recipe, train
from tutorial_pkg.transfer import TransferTable, amplify, same_norm_noise, transfer_table

MODELS = ("M1", "M1'", "M2")
RESTART = "M1-restart"
TRAINED_ON = {"M1": "P1", "M1'": "P1", RESTART: "P1", "M2": "P2"}
STDDEVS = (0.06, 0.1)
AMPLIFIED_STDDEV = 0.1


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        num_images: test images distorted, chosen at random; None for all.
        num_splits: times that the training images are split into P1 and P2 anew and the models trained.
        restart: whether to train M1 once more on P1 from another initialisation, which the paper does not:
            between it and M2 the training set is the only difference.
        seed: of the first split.
        max_iter: a limit on training that overrides the recipes'; None for none.
    """

    dataset: str = "mnist"
    num_images: int | None = 2000
    num_splits: int = 2
    restart: bool = False
    seed: int = 0
    max_iter: int | None = None


@dataclass(frozen=True)
class CellConfig:
    """One split."""

    dataset: str
    recipes: Mapping[str, Recipe]
    num_images: int | None
    seed: int


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell a split."""
    small = TABLE1_RECIPES["N100-100-10"]
    recipes = {"M1": small, "M1'": replace(small, model="fc123-456-10"), "M2": small}
    if config.restart:
        recipes[RESTART] = small
    if config.max_iter is not None:
        recipes = {name: recipe.shortened(config.max_iter) for name, recipe in recipes.items()}
    return {
        f"split{seed}": CellConfig(config.dataset, recipes, config.num_images, seed)
        for seed in range(config.seed, config.seed + config.num_splits)
    }


def run(config: CellConfig, context: Context) -> Result:
    """Split, train, distort test images for each model, and feed them to the others, amplified too."""
    data = context.dataset(config.dataset)
    generator = torch.Generator().manual_seed(config.seed)
    halves = dict(zip(("P1", "P2"), split_halves(data, generator), strict=True))
    # No two models share an initialisation: M1 and M2 would begin alike, and may end alike.
    models = {
        name: context.trained(recipe, halves[TRAINED_ON[name]], 10 * config.seed + i, train)[0]
        for i, (name, recipe) in enumerate(config.recipes.items())
    }
    chosen = torch.randperm(len(data.test_labels), generator=generator)[: config.num_images]
    inputs = data.test_inputs[chosen].to(context.device)
    labels = data.test_labels[chosen].to(context.device)
    targets = random_other_classes(labels, data.num_classes, generator)
    examples, success, distortion, shrunk = {}, {}, {}, {}
    for name, model in models.items():
        attack = minimum_distortion(model, inputs, targets=targets, progress=context.progress)
        amplified = amplify(inputs, attack.adv_inputs, stddev=AMPLIFIED_STDDEV)
        examples[name] = attack.adv_inputs
        examples[f"{name} noise"] = same_norm_noise(inputs, attack.adv_inputs, generator=generator)
        examples[f"{name} amplified"] = amplified
        examples[f"{name} amplified, clipped"] = amplified.clamp(0, 1)
        success[name] = float(attack.success.float().mean())
        distortion[name] = float(attack.rms_distortion[attack.success].cpu().double().mean())
        shrunk[name] = float((attack.rms_distortion > AMPLIFIED_STDDEV).float().mean())
    for stddev in STDDEVS:
        examples[f"gaussian-{stddev:g}"] = gaussian_noise(inputs, stddev=stddev, generator=generator, box=None)
    table = transfer_table(models, inputs, labels=labels, examples=examples)
    parts = {name: (half.train_inputs, half.train_labels) for name, half in halves.items()}
    parts["test"] = (data.test_inputs, data.test_labels)
    undistorted = {
        part: transfer_table(models, images.to(context.device), labels=answers.to(context.device), examples={})
        for part, (images, answers) in parts.items()
    }
    return Result(
        values={
            **transfer_values(table),
            "error": {
                name: {part: whole.clean(name).fraction for part, whole in undistorted.items()} for name in models
            },
            "success": success,
            "distortion": distortion,
            "shrunk_by_amplification": shrunk,
            "p_over_same_norm_noise": _p_values(table, "", "{} noise"),
            "p_amplified_over_gaussian-0.1": _p_values(table, " amplified", "gaussian-0.1"),
            "same_set_minus_other_set": {
                "minimum": same_minus_other(table, "", seed=config.seed),
                "amplified": same_minus_other(table, " amplified", seed=config.seed),
            },
        }
    )


def same_minus_other(table: TransferTable, suffix: str, *, seed: int) -> dict[str, float]:
    """Return how much oftener examples fool a model of the source's own training set than one of the other's.

    A mean over pairs of models and over the images that every model had right. With a restarted M1 the pairs
    are those of equal architecture, so that the training set is all that differs.
    """
    pairs = [(a, b) for a in table.columns for b in table.columns if a != b]
    if RESTART in table.columns:
        pairs = [pair for pair in pairs if "M1'" not in pair]
    right = ~table.wrong_before.any(0)
    groups = []
    for same in (True, False):
        cells = [
            table.wrong[table.rows.index(a + suffix), table.columns.index(b)]
            for a, b in pairs
            if (TRAINED_ON[a] == TRAINED_ON[b]) == same
        ]
        groups.append(torch.stack(cells)[:, right].cpu().double().mean(0))
    return mean_with_interval((groups[0] - groups[1]).numpy(), seed=seed)


def _p_values(table: TransferTable, suffix: str, control: str) -> dict[str, dict[str, float]]:
    return {
        source: {
            column: table.p_value(source + suffix, control.format(source), column)
            for column in table.columns
            if column != source
        }
        for source in table.columns
    }


CONFIGS = {
    "quick": Config(dataset="digits", num_images=100, restart=True, max_iter=40),
    "laptop": Config(restart=True, max_iter=500),
}
CONFIGS["paper"] = replace(CONFIGS["laptop"], num_images=None, num_splits=3, max_iter=None)

EXPERIMENT = Experiment(
    name="tables3_4",
    title="Adversarial examples across disjoint training sets",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
