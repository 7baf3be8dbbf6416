"""Transfer, explained: how it grows with the perturbation, and how far the perturbations point the same way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from tutorial_pkg.experiments import table2
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.table2 import MODELS, attack_every_model
from tutorial_pkg.figures import INK, SERIES, STYLE, Renderer, beside, percent
from tutorial_pkg.records import Record
from tutorial_pkg.transfer import perturbation_cosine, reach, same_norm_noise, transfer_table

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

    def pairwise(measure: str) -> np.ndarray:
        return np.array([[compared(measure, source, target) for target in MODELS] for source in MODELS])

    def compared(measure: str, source: str, target: str) -> float:
        first, second = adv_inputs[source], adv_inputs[target]
        if measure == "reach":
            return float(reach(inputs, first, second).nanmedian())
        if measure == "cosine":
            return float(perturbation_cosine(inputs, first, second).nanmean())
        # The control: another image's perturbation, moved onto this image.
        elsewhere = inputs + (second - inputs).roll(1, dims=0)
        return float(perturbation_cosine(inputs, first, elsewhere).nanmean())

    totals = [len(inputs) - tables[MODELS[0]].clean(name).count for name in MODELS]
    fooled, noise = counts("adversarial"), counts("noise")
    cosine, median_reach = pairwise("cosine"), pairwise("reach")
    return Result(
        values={
            **attacked.values,
            "num_images": len(inputs),
            "num_correct": dict(zip(MODELS, totals, strict=True)),
            "cosine_of_other_images": float(off_diagonal(pairwise("control")).mean()),
            "rank_correlation": {
                "cosine": _rank_correlation(cosine, fooled, totals, config.factors),
                "reach": _rank_correlation(median_reach, fooled, totals, config.factors),
            },
        },
        arrays={"fooled": fooled, "noise": noise, "cosine": cosine, "reach": median_reach},
    )


def off_diagonal(matrix: np.ndarray) -> np.ndarray:
    """Return the entries [source, target, ...] of different models, pair by pair."""
    return matrix[~np.eye(len(matrix), dtype=bool)]


def _rank_correlation(
    measure: np.ndarray, fooled: np.ndarray, totals: Sequence[int], factors: Sequence[float]
) -> dict[str, float]:
    """Spearman's correlation, over the ordered pairs, of a measure with the transfer at factor 1."""
    pairs = off_diagonal(measure), off_diagonal(fooled[:, :, list(factors).index(1.0)] / np.array(totals))
    if min(map(np.ptp, pairs)) == 0:  # no order, no correlation
        return {"rho": math.nan, "p": math.nan}
    found = spearmanr(*pairs)
    return {"rho": float(found.statistic), "p": float(found.pvalue)}


def render(records: Sequence[Record], output: Renderer) -> None:
    """Draw the curves, and what explains them."""
    totals = np.array([[record.values["num_correct"][name] for name in MODELS] for record in records])
    fooled = np.mean([r.arrays["fooled"] / t[:, None] for r, t in zip(records, totals, strict=True)], axis=0)
    noise = np.mean([r.arrays["noise"] / t[:, None] for r, t in zip(records, totals, strict=True)], axis=0)
    cosine = np.mean([record.arrays["cosine"] for record in records], axis=0)
    median_reach = np.mean([record.arrays["reach"] for record in records], axis=0)
    factors = records[0].config["factors"]
    output.figure(
        "curves",
        _curves(fooled, noise, factors),
        caption="**Transfer against amplification.** Each panel: one model's minimum perturbations, multiplied by the "
        "factor below; each line: the error of one model on the images that it had right. Grey: random noise of the "
        "same norm, from the least to the most disturbed model.",
        alt="Six panels of rising curves, one a target model; noise of the same norm stays near zero",
    )
    output.figure(
        "explained",
        _scatters({"mean cosine": cosine, "median reach": median_reach}, fooled[:, :, factors.index(1.0)]),
        caption="**What explains transfer.** A point is a source and a target model, in the target's colour: transfer "
        "of the minimum perturbations against the mean cosine between the two models' perturbations, and against the "
        "median share of the way to the target's own boundary that the source's perturbation covers.",
        alt="Two scatter plots: transfer hardly follows the cosine and closely follows the reach",
    )
    output.table(
        "pairs",
        ["made for", *MODELS],
        [
            [
                source,
                *(
                    "" if i == j else beside(f"{median_reach[i, j]:.2f}", f"{cosine[i, j]:.2f}")
                    for j in range(len(MODELS))
                ),
            ]
            for i, source in enumerate(MODELS)
        ],
        caption="**Direction and distance.** Median reach (mean cosine) of the row's perturbations "
        "with those of the column's model, for the same image and the same class.",
    )
    one, two = factors.index(1.0), factors.index(2.0)
    at = {"1": one, "2": two, "last": len(factors) - 1}
    for name, index in at.items():
        output.value(f"transfer.{name}", percent(float(off_diagonal(fooled)[:, index].mean()), 1))
        output.value(f"noise.{name}", percent(float(off_diagonal(noise)[:, index].mean()), 1))
    output.value("last_factor", f"{factors[-1]:g}")
    for kind, values in (("cosine", off_diagonal(cosine)), ("reach", off_diagonal(median_reach))):
        output.value(f"{kind}.mean", f"{values.mean():.2f}")
        output.value(f"{kind}.min", f"{values.min():.2f}")
        output.value(f"{kind}.max", f"{values.max():.2f}")
        rho = np.mean([record.values["rank_correlation"][kind]["rho"] for record in records])
        output.value(f"{kind}.rho", f"{rho:.2f}".replace("-", "−"))
    control = float(np.mean([record.values["cosine_of_other_images"] for record in records]))
    output.value("cosine.other_images", f"{control:.2f}".replace("-", "−"))


def _curves(fooled: np.ndarray, noise: np.ndarray, factors: Sequence[float]) -> Figure:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 7.4))
        panels = figure.subplots(3, 2, sharex=True, sharey=True)
        lines: dict[str, Any] = {}
        for i, source in enumerate(MODELS):
            axis = panels.flat[i]
            for j, target in enumerate(MODELS):
                style = ":" if i == j else "-"
                (line,) = axis.plot(factors, 100 * fooled[i, j], style, color=SERIES[j], marker=".", markersize=4)
                lines |= {target: line} if i != j else {}
            low, high = 100 * noise[i].min(0), 100 * noise[i].max(0)
            lines["noise"] = axis.fill_between(factors, low, high, facecolor=INK, edgecolor=INK, alpha=0.25)
            axis.set_title(f"made for {source}", fontsize=10)
            axis.set_ylim(-3, 103)
            axis.set_xticks((1, 2, 3, 4, 6))
        for axis in panels[-1]:
            axis.set_xlabel("amplification factor")
        for axis in panels[:, 0]:
            axis.set_ylabel("error, %")
        ordered = [*MODELS, "noise"]
        figure.legend([lines[name] for name in ordered], ordered, loc="outside lower center", ncols=4)
    return figure


def _scatters(measures: Mapping[str, np.ndarray], rate: np.ndarray) -> Figure:
    """Draw each measure of a pair against its transfer, in the colour of the target model."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.4))
        axes = figure.subplots(1, len(measures), sharey=True)
        for axis, (label, matrix) in zip(axes, measures.items(), strict=True):
            for j, target in enumerate(MODELS):
                others = np.arange(len(MODELS)) != j
                axis.plot(matrix[others, j], 100 * rate[others, j], "o", markersize=5, color=SERIES[j], label=target)
            axis.set_xlabel(label)
        axes[0].set_ylabel("transfer, %")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


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
