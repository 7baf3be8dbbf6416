"""Transfer, explained: how it grows with the perturbation, and how far the perturbations point the same way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import torch

from tutorial_pkg.experiments import table2
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.table2 import MODELS, attack_every_model
from tutorial_pkg.experiments.transfer_curve_rendering import render
from tutorial_pkg.experiments.transfer_pairs import compare_pairs
from tutorial_pkg.transfer import perturbation_cosine, same_norm_noise, transfer_table

FACTORS = (0.5, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0)


@dataclass(frozen=True)
class Config(table2.Config):
    """Size of the experiment; the other fields are Table 2's.

    Attributes:
        factors: what the minimum perturbations are multiplied by.
    """

    factors: tuple[float, ...] = FACTORS


@dataclass(frozen=True)
class CellConfig(table2.CellConfig):
    """One set of six models."""

    factors: tuple[float, ...]


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell a seed, with Table 2's models."""
    return {name: CellConfig(**vars(cell), factors=config.factors) for name, cell in table2.cells(config).items()}


def run(config: CellConfig, context: Context) -> Result:
    """Stretch every model's perturbations by every factor, beside noise, and compare their directions."""
    attacked = attack_every_model(config, context)
    inputs, adv_inputs = attacked.inputs, attacked.adv_inputs
    generator = torch.Generator().manual_seed(config.seed + 1)
    tables = {}
    for name in MODELS:
        noisy = same_norm_noise(inputs, adv_inputs[name], generator=generator)
        examples = {
            f"{kind} {factor:g}": torch.lerp(inputs, moved, factor)
            for kind, moved in (("adversarial", adv_inputs[name]), ("noise", noisy))
            for factor in config.factors
        }
        tables[name] = transfer_table(attacked.models, inputs, labels=attacked.labels, examples=examples)

    def counts(kind: str) -> np.ndarray:
        rows = [f"{kind} {factor:g}" for factor in config.factors]
        return np.array(
            [[[tables[source].of_correct(row, target).count for row in rows] for target in MODELS] for source in MODELS]
        )

    elsewhere = {name: inputs + (adv - inputs).roll(1, dims=0) for name, adv in adv_inputs.items()}
    control = [
        float(perturbation_cosine(inputs, adv_inputs[a], elsewhere[b]).nanmean()) for a, b in permutations(MODELS, 2)
    ]
    totals = [len(inputs) - tables[MODELS[0]].clean(name).count for name in MODELS]
    pairs = compare_pairs(inputs, adv_inputs, tables, "adversarial 1", seed=config.seed)
    return Result(
        values={
            **attacked.values,
            "num_images": len(inputs),
            "num_correct": dict(zip(MODELS, totals, strict=True)),
            "cosine_of_other_images": float(np.mean(control)),
            "rank_correlation": pairs.rank_correlation,
        },
        arrays={
            "fooled": counts("adversarial"),
            "noise": counts("noise"),
            **pairs.estimate,
            **{f"{measure}_low": low for measure, low in pairs.low.items()},
            **{f"{measure}_high": high for measure, high in pairs.high.items()},
        },
    )


CONFIGS = {
    "quick": Config(dataset="digits", num_images=100, max_iter=60),
    "laptop": Config(),
}
CONFIGS["paper"] = replace(CONFIGS["laptop"], num_images=10_000, num_seeds=3)

EXPERIMENT = Experiment(
    name="transfer_curve",
    title="Transfer against amplification, and why",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
