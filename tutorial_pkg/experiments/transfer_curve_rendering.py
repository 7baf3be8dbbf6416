"""The figures, tables and numbers of the experiment `transfer_curve`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tutorial_pkg.experiments.table2_rendering import MODELS
from tutorial_pkg.experiments.transfer_pairs import hull, off_diagonal
from tutorial_pkg.figures import INK, SERIES, STYLE, Renderer, number, percent, spaced
from tutorial_pkg.records import Record
from tutorial_pkg.transfer import Rate

LINES: dict[str, dict[str, Any]] = {
    "softmax1": {"color": SERIES[0], "marker": "o", "markersize": 4},
    "softmax2": {"color": SERIES[1], "marker": "v", "markersize": 4},
    "softmax3": {"color": SERIES[2], "marker": "X", "markersize": 4.5},
    "N100-100-10": {"color": SERIES[3], "marker": "s", "markersize": 6, "linewidth": 3},
    "N200-200-10": {"color": SERIES[5], "marker": "^", "markersize": 4.5, "linestyle": "--"},
    "AE400-10": {"color": SERIES[6], "marker": "D", "markersize": 3.5, "linestyle": "-."},
}
"""How a model is drawn. The two networks nearly coincide: the second is dashed, so that the first shows below it."""

Curves = tuple[np.ndarray, np.ndarray, np.ndarray]


def render(records: Sequence[Record], output: Renderer) -> None:
    """Draw the curves, and what explains them."""
    mean = {key: np.mean([r.arrays[key] for r in records], axis=0) for key in ("cosine", "reach", "transfer")}
    fooled, noise = (_rates(records, kind) for kind in ("fooled", "noise"))
    factors = records[0].config["factors"]
    output.figure(
        "curves",
        _curves(fooled, noise, factors),
        caption="**Transfer against amplification.** Each panel: one model's minimum perturbations, multiplied by the "
        "factor below; each line: the error of one model on the images that it had right, with its 95 % binomial "
        "interval, where it is wider than the line. Dotted: the model that they were made for. Grey: random noise of "
        "the same norm, from the least to the most disturbed model.",
        alt="Six panels of rising curves, one a source model; noise of the same norm stays near zero",
    )
    output.figure(
        "explained",
        _scatters({"mean cosine": mean["cosine"], "median reach": mean["reach"]}, mean["transfer"]),
        caption="**What explains transfer.** A point is a source and a target model, in the target's colour and "
        "marker: transfer of the minimum perturbations against the mean cosine between the two models' perturbations, "
        "and against the median share of the way to the target's own boundary that the source's perturbation covers.",
        alt="Two scatter plots: transfer hardly follows the cosine and closely follows the reach",
    )
    _write_measures(records, mean, output)
    _offer_values(records, mean, output)
    at = {"1": factors.index(1.0), "2": factors.index(2.0), "last": len(factors) - 1}
    for name, index in at.items():
        output.value(f"transfer.{name}", percent(float(off_diagonal(fooled[0])[:, index].mean()), 1))
        output.value(f"noise.{name}", percent(float(off_diagonal(noise[0])[:, index].mean()), 1))
    output.value("last_factor", f"{factors[-1]:g}")


def _write_measures(records: Sequence[Record], mean: Mapping[str, np.ndarray], output: Renderer) -> None:
    """Write a table of each measure of two models, with its intervals."""
    what = {
        "reach": "**Median reach** of the row's perturbations along",
        "cosine": "**Mean cosine** between the row's perturbations and",
    }
    columns = range(len(MODELS))
    for measure, words in what.items():
        low, high = hull([r.arrays[f"{measure}_low"] for r in records], [r.arrays[f"{measure}_high"] for r in records])
        output.table(
            measure,
            ["made for", *MODELS],
            [
                [
                    source,
                    *("" if i == j else _interval(mean[measure][i, j], low[i, j], high[i, j]) for j in columns),
                ]
                for i, source in enumerate(MODELS)
            ],
            caption=f"{words} those of the column's model, for the same image and the same class, with a 95 % "
            f"bootstrap interval over images{', the hull over the seeds' * (len(records) > 1)}.",
        )


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.2f}<br><small>[{low:.2f},&nbsp;{high:.2f}]</small>"


def _offer_values(records: Sequence[Record], mean: Mapping[str, np.ndarray], output: Renderer) -> None:
    for measure in ("cosine", "reach"):
        values = off_diagonal(mean[measure])
        output.value(f"{measure}.mean", f"{values.mean():.2f}")
        output.value(f"{measure}.min", f"{values.min():.2f}")
        output.value(f"{measure}.max", f"{values.max():.2f}")
        found = [record.values["rank_correlation"][measure] for record in records]
        rho = float(np.mean([f["rho"] for f in found]))
        low, high = min(f["low"] for f in found), max(f["high"] for f in found)
        output.value(f"{measure}.rho", f"{number(rho)} [{number(low)}, {number(high)}]")
    control = float(np.mean([record.values["cosine_of_other_images"] for record in records]))
    output.value("cosine.other_images", number(control))


def _rates(records: Sequence[Record], kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an error rate `[source, target, factor]`, and its binomial intervals' ends, the hull over the seeds."""
    rates, lows, highs = [], [], []
    for record in records:
        counts = record.arrays[kind]
        totals = np.broadcast_to([[record.values["num_correct"][name]] for name in MODELS], counts.shape)
        ends = np.vectorize(lambda count, total: Rate(int(count), int(total)).interval())(counts, totals)
        rates.append(counts / totals)
        lows.append(ends[0])
        highs.append(ends[1])
    return np.mean(rates, axis=0), *hull(lows, highs)


def _curves(fooled: Curves, noise: Curves, factors: Sequence[float]) -> Figure:
    (rate, low, high), (noise_rate, _, _) = fooled, noise
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 7.4))
        panels = figure.subplots(3, 2, sharex=True, sharey=True)
        lines: dict[str, Any] = {}
        for i, source in enumerate(MODELS):
            axis = panels.flat[i]
            for j, target in enumerate(MODELS):
                style = LINES[target] | ({"linestyle": ":"} if i == j else {})
                (line,) = axis.plot(factors, 100 * rate[i, j], **style)
                low_, high_ = 100 * low[i, j], 100 * high[i, j]
                axis.fill_between(factors, low_, high_, color=style["color"], alpha=0.2, linewidth=0)
                lines |= {target: line} if i != j else {}
            least, most = 100 * noise_rate[i].min(0), 100 * noise_rate[i].max(0)
            lines["noise"] = axis.fill_between(factors, least, most, facecolor=INK, edgecolor=INK, alpha=0.25)
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


def _scatters(measures: Mapping[str, np.ndarray], transfer: np.ndarray) -> Figure:
    """Draw each measure of a pair against its transfer, in the target's colour and marker."""
    with matplotlib.rc_context(spaced(wspace=0.08)):
        figure = Figure(figsize=(6.4, 3.4))
        axes = figure.subplots(1, len(measures), sharey=True)
        for axis, (label, matrix) in zip(axes, measures.items(), strict=True):
            for j, target in enumerate(MODELS):
                others = np.arange(len(MODELS)) != j
                style = LINES[target] | {"linestyle": "none", "markersize": 6}
                axis.plot(matrix[others, j], 100 * transfer[others, j], label=target, **style)
            axis.set_xlabel(label)
            axis.xaxis.set_major_locator(MaxNLocator(5))
        axes[0].set_ylabel("transfer, %")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure
