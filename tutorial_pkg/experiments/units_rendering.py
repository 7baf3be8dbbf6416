"""The figures, tables and numbers of the experiment `units`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tutorial_pkg.experiments.unit_effects import effect_text, shade_negligible, tally, verdict_word
from tutorial_pkg.figures import SERIES, STYLE, Renderer, number, spaced
from tutorial_pkg.records import Record
from tutorial_pkg.units import NEGLIGIBLE, OF_DIRECTIONS, STATISTICS, pooled

LAYERS = {
    "pixels": "pixels, no network",
    "untrained": "hidden layer, untrained",
    "pool": "max pooling",
    "hidden": "hidden layer",
    "logits": "logits",
    "onehot": "one unit a class, made by hand",
}
KINDS = {
    "units": "units",
    "uniform": "random",
    "nonnegative": "random ≥ 0",
    "principal": "principal",
    "matched": "same classes",
    "chance": "chance",
}
NAMES = {
    "purity": "class purity",
    "entropy": "class entropy, bits",
    "pixel_distance": "distance in pixels",
    "feature_distance": "distance in features",
    "slant_spread": "spread of slant",
    "width_spread": "spread of stroke width",
    "aspect_spread": "spread of aspect",
    "style_spread": "spread of style in class",
    "holes_agreement": "agreement on holes",
    "class_auc": "detects a class",
    "class_share": "class share",
    "style_correlation": "follows a style",
}
MAIN = ("purity", "pixel_distance", "style_spread", "class_share")
SMALL_IS_ALIKE = ("pixel_distance", "style_spread")
"""Statistics of `MAIN` that are smaller the more a set has in common."""
OVER_SIZES = ("purity", "pixel_distance", "style_spread", "holes_agreement")
"""Statistics that are shown over the size of the set."""


@dataclass(frozen=True)
class _Summary:
    """The records' networks, read together."""

    records: Sequence[Record]
    k: str

    def blocks(self, layer: str, k: str | None = None) -> list[Mapping[str, Any]]:
        return [record.values["layers"][layer]["by_k"][k or self.k] for record in self.records]

    def mean(self, layer: str, kind: str, name: str, k: str | None = None) -> float:
        return float(np.mean([block["means"][kind].get(name, np.nan) for block in self.blocks(layer, k)]))

    def effects(self, layer: str, pair: str, name: str, k: str | None = None) -> list[Mapping[str, float]]:
        return [block["comparisons"][pair][name] for block in self.blocks(layer, k)]

    def pooled(self, layer: str, pair: str, name: str, k: str | None = None) -> tuple[float, float, float]:
        return pooled([(e["delta"], e["low"], e["high"]) for e in self.effects(layer, pair, name, k)])

    def effect(self, layer: str, pair: str, name: str, k: str | None = None, *, split: bool = False) -> str:
        return effect_text(*self.pooled(layer, pair, name, k), split=split)

    def verdict(self, layer: str, pair: str, name: str) -> str:
        return verdict_word(*self.pooled(layer, pair, name)[1:])

    def largest_p(self, layer: str, pair: str, name: str) -> str:
        return f"{max(effect['p_value'] for effect in self.effects(layer, pair, name)):.2g}"

    def readout(self, layer: str, kind: str, factor: str) -> float:
        return float(np.mean([r.values["layers"][layer]["readout"][kind][factor] for r in self.records]))


def render(records: Sequence[Record], output: Renderer) -> None:
    """Draw the distributions and the effects; write the tables and the numbers for the prose."""
    config = records[0].config
    summary = _Summary(records, str(config["ks"][0]))
    networks = f"{len(records)} network{'s' * (len(records) > 1)}"
    interval = f"mean over {networks} with a 95 % interval"
    _offer_values(summary, output)
    _show_figures(summary, output, networks)
    _statistics_table(summary, output, interval)
    _comparison_tables(summary, output, interval)
    _readout_table(summary, output, networks)


def _show_figures(summary: _Summary, output: Renderer, networks: str) -> None:
    output.figure(
        "distributions",
        _distributions(summary.records),
        caption=f"**Top-{summary.k} sets along each kind of direction**, hidden layer, all directions of {networks}. "
        "Dot: median; thick: middle half; thin: 5 % to 95 %. *Same classes*: random images with the classes of the "
        "units' sets. *Chance*: random images.",
        alt="Distributions of four statistics of top sets, for units, random directions and random images",
    )
    output.figure(
        "effects",
        _effects(summary),
        caption=f"**How far the statistics separate units from random directions, and from random images** (hidden "
        f"layer, k = {summary.k}). Cliff's δ: the mean over {networks} with its 95 % interval, below it small the "
        f"networks one by one. δ = 1: every unit's set has "
        f"more in common than every other; 0: no difference; shaded: |δ| < {NEGLIGIBLE}, negligible by convention.",
        alt="Effect sizes with intervals, for each statistic",
    )


def _statistics_table(summary: _Summary, output: Renderer, interval: str) -> None:
    output.table(
        "statistics",
        ["mean over sets", *KINDS.values(), "δ, units against random", "largest p", "verdict"],
        [
            [
                NAMES[name],
                *(number(summary.mean("hidden", kind, name)) for kind in KINDS),
                summary.effect("hidden", "units-uniform", name, split=True),
                summary.largest_p("hidden", "units-uniform", name),
                summary.verdict("hidden", "units-uniform", name),
            ]
            for name in STATISTICS
        ],
        caption=f"**Hidden layer, k = {summary.k}.** δ > 0 says that units' images have more in common; {interval}. "
        "Largest p: permutation test, the network that differs least. Verdict: whose images have more in common, or "
        f"*negligible* where the whole interval is within ±{NEGLIGIBLE}. The last three rows are about directions and "
        "use all images.",
    )


def _comparison_tables(summary: _Summary, output: Renderer, interval: str) -> None:
    def header(first: str, names: Sequence[str]) -> list[str]:
        return [first, "class purity: units", "random", "chance", *(f"δ {NAMES[name]}" for name in names)]

    def row(label: str, layer: str, k: str, names: Sequence[str]) -> list[str]:
        purities = (number(summary.mean(layer, kind, "purity", k)) for kind in ("units", "uniform", "chance"))
        return [label, *purities, *(summary.effect(layer, "units-uniform", name, k, split=True) for name in names)]

    output.table(
        "layers",
        header("layer", MAIN),
        [row(label, layer, summary.k, MAIN) for layer, label in LAYERS.items()],
        caption=f"**Over layers, k = {summary.k}.** δ of units against random directions, {interval}. For the pixels a "
        "unit is a pixel. The last row is no network: ten units, each 1 for one class and 0 for the others, with a "
        "little noise.",
    )
    output.table(
        "sizes",
        header("k", OVER_SIZES),
        [row(str(k), "hidden", str(k), OVER_SIZES) for k in summary.records[0].config["ks"]],
        caption=f"**Over the size of the set, hidden layer.** δ of units against random directions, {interval}.",
    )


def _readout_table(summary: _Summary, output: Renderer, networks: str) -> None:
    factors = {
        "class_auc": "detects a class",
        "class_share": "class share",
        "slant": "slant",
        "width": "stroke width",
        "aspect": "aspect",
    }
    best = {
        "units": "best unit",
        "uniform": "best random direction",
        "nonnegative": "best random direction ≥ 0",
        "principal": "best principal component",
        "chance": "best by chance",
    }
    output.table(
        "readout",
        ["hidden layer", *factors.values()],
        [
            [label, *(number(summary.readout("hidden", kind, factor)) for factor in factors)]
            for kind, label in (best | {"together": "all together, linearly"}).items()
        ],
        caption=f"**What a single direction tells about an image**, the best direction for each factor; mean over "
        f"{networks}. *Detects a class* and *class share* as above, means over the classes, each with its own best "
        "direction. Others: absolute rank correlation within a class. *All together*: ridge regression, five-fold "
        "cross-validation.",
    )


def _offer_values(summary: _Summary, output: Renderer) -> None:
    record = summary.records[0]
    output.value("k", summary.k)
    output.value("networks", f"{len(summary.records)} network{'s' * (len(summary.records) > 1)}")
    output.value("num_tests", str(len(STATISTICS)))
    errors = [100 * r.values["test_error"] for r in summary.records]
    output.value("test_error", " %, ".join(f"{error:.2f}" for error in errors) + " %")
    hidden = [r.values["layers"]["hidden"] for r in summary.records]
    output.value("num_units", ", ".join(str(h["by_k"][summary.k]["num_units"]) for h in hidden))
    output.value("num_test", f"{record.values['num_test']:,}")
    output.value("effective_dimension", f"{np.mean([h['effective_dimension'] for h in hidden]):.1f}")
    verdicts = {name: summary.verdict("hidden", "units-uniform", name) for name in STATISTICS}
    of_images = {NAMES[name]: word for name, word in verdicts.items() if name not in OF_DIRECTIONS}
    of_directions = {NAMES[name]: verdicts[name] for name in OF_DIRECTIONS}
    output.value("num_of_images", str(len(of_images)))
    output.value("num_of_directions", str(len(of_directions)))
    output.value("verdicts.images", tally(of_images))
    output.value("verdicts.directions", tally(of_directions))
    output.value("verdicts", tally(of_images | of_directions))
    for kind, share in hidden[0]["by_k"][summary.k]["distinct"].items():
        output.value(f"distinct.{kind}", f"{100 * share:.0f} %")
    for layer in LAYERS:
        block = summary.blocks(layer)[0]
        for kind, means in block["means"].items():
            for name in means:
                output.value(f"{layer}.{kind}.{name}", number(summary.mean(layer, kind, name)))
        for pair, effects in block["comparisons"].items():
            for name in effects:
                output.value(f"{layer}.{pair}.{name}", summary.effect(layer, pair, name))
                output.value(f"{layer}.{pair}.{name}.verdict", summary.verdict(layer, pair, name))


def _distributions(records: Sequence[Record]) -> Figure:
    """Draw the quantiles of the main statistics, a panel each."""
    positions = {name: i for i, name in enumerate(STATISTICS)}
    with matplotlib.rc_context(spaced(wspace=0.05, hspace=0.08)):
        figure = Figure(figsize=(6.2, 5.2))
        for i, (axis, name) in enumerate(zip(figure.subplots(2, 2, sharey=True).flat, MAIN, strict=True)):
            for y, kind in enumerate(KINDS):
                if name in OF_DIRECTIONS and kind == "matched":
                    continue
                values = np.concatenate([r.arrays[kind][positions[name]] for r in records])
                q05, q25, q50, q75, q95 = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))
                color = SERIES[0] if kind == "units" else SERIES[1] if kind == "uniform" else SERIES[7]
                axis.plot((q05, q95), (y, y), color=color, linewidth=1)
                axis.plot((q25, q75), (y, y), color=color, linewidth=4, solid_capstyle="butt")
                axis.plot(q50, y, "o", color=color, markersize=7)
            axis.set_title(NAMES[name], fontsize=10)
            axis.set_xlabel("← more in common" if name in SMALL_IS_ALIKE else "more in common →")
            axis.grid(axis="y", visible=False)
            if i == 0:
                axis.set_yticks(range(len(KINDS)), KINDS.values())
                axis.invert_yaxis()
    return figure


def _effects(summary: _Summary) -> Figure:
    """Draw δ, its mean over the networks with its interval, for every statistic; small, that of each network."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.8, 5.4))
        axis = figure.subplots()
        shade_negligible(axis)
        pairs = {"units-uniform": "units against random directions", "units-chance": "units against random images"}
        for p, (pair, label) in enumerate(pairs.items()):
            for y, name in enumerate(STATISTICS):
                place, color = y + (p - 0.5) * 0.4, SERIES[p]
                delta, low, high = summary.pooled("hidden", pair, name)
                axis.plot((low, high), (place, place), color=color, linewidth=2)
                axis.plot(delta, place, "os"[p], color=color, markersize=6, label=None if y else label)
                networks = [effect["delta"] for effect in summary.effects("hidden", pair, name)]
                axis.plot(networks, np.full(len(networks), place + 0.2), ".", color=color, markersize=3.5, alpha=0.6)
        axis.set_yticks(range(len(NAMES)), NAMES.values())
        axis.invert_yaxis()
        axis.set_xlim(-1.05, 1.05)
        axis.set_xticks((-1, -0.5, 0, 0.5, 1))
        axis.set_xlabel("Cliff's δ  (right of 0: units have more in common)")
        figure.legend(loc="outside upper center", ncols=1)
    return figure
