"""The figures, tables and numbers of the experiment `figures3_4`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tutorial_pkg.experiments.unit_effects import effect_text, shade_negligible, tally, verdict_word
from tutorial_pkg.figures import SERIES, Renderer, image_grid, number, spaced
from tutorial_pkg.records import Record
from tutorial_pkg.units import NEGLIGIBLE

LAYERS = {
    "pixels": "pixels, no network",
    "untrained": "second hidden layer, untrained",
    "conv3": "third convolution",
    "pool5": "last pooling",
    "fc1": "first hidden layer",
    "fc2": "second hidden layer",
    "logits": "logits",
}
KINDS = {"units": "units", "uniform": "random", "matched": "same classes", "chance": "chance"}
NAMES = {
    "purity": "class purity",
    "entropy": "class entropy, bits",
    "pixel_distance": "distance in pixels",
    "colour_distance": "distance in mean colour",
    "feature_distance": "distance in features",
    "class_auc": "detects a class",
    "class_share": "class share",
}
ORDER = {"units": ", best first, none chosen by hand", "uniform": ", best first", "chance": ""}
LAST_HIDDEN = "fc2"


def render(records: Sequence[Record], output: Renderer) -> None:
    """Draw the image grids and the effects; write the tables and the numbers for the prose."""
    by_layer = {record.config["layer"]: record for record in records}
    _offer_values(by_layer, output)
    _show_last_hidden_layer(by_layer[LAST_HIDDEN], output)
    _show_other_layers(by_layer, output)
    output.figure(
        "effects",
        _effects(by_layer),
        caption=f"**Units against random directions, layer by layer** (Cliff's δ with a 95 % interval, k = "
        f"{records[0].config['k']}). Right of 0: units' images have more in common; shaded: |δ| < {NEGLIGIBLE}, "
        "negligible by convention.",
        alt="Effect sizes with intervals, for each statistic and layer",
    )
    _statistics_table(by_layer[LAST_HIDDEN], output)
    _layers_table(by_layer, output)


def _show_last_hidden_layer(main: Record, output: Renderer) -> None:
    best = f"The {main.config['k']} validation images that excite"
    panels = {
        "units": ("figure3", f"**Figure 3.** {best} single units of the last hidden layer most"),
        "uniform": ("figure4", f"**Figure 4.** {best} random directions in the same layer most"),
        "chance": ("chance", "**For comparison:** validation images drawn at random"),
    }
    for kind, (name, what) in panels.items():
        output.figure(
            name,
            _grid(main, kind),
            caption=f"{what}{ORDER[kind]}.{_classes(main, kind)}",
            alt=f"Rows of photographs: a row for each {'direction' if kind == 'uniform' else 'unit'}",
        )


def _show_other_layers(by_layer: Mapping[str, Record], output: Renderer) -> None:
    for layer, record in by_layer.items():
        if record.arrays and layer != LAST_HIDDEN:
            for kind, title in (("units", "Units"), ("uniform", "Random directions")):
                output.figure(
                    f"{layer}-{kind}",
                    _grid(record, kind),
                    caption=f"**{title}, {LAYERS[layer]}.**{_classes(record, kind)}",
                    alt=f"Rows of photographs that excite {title.lower()} of the layer {layer} most",
                )


def _statistics_table(main: Record, output: Renderer) -> None:
    output.table(
        "statistics",
        ["mean over sets", *KINDS.values(), "δ, units against random", "p", "verdict"],
        [
            [
                label,
                *(_mean(main, kind, name) for kind in KINDS),
                effect(main, "units-uniform", name, split=True),
                f"{main.values['comparisons']['units-uniform'][name]['p_value']:.2g}",
                word(main, "units-uniform", name),
            ]
            for name, label in NAMES.items()
        ],
        caption=f"**Second hidden layer, k = {main.config['k']}.** *Same classes*: random images with the classes of "
        "the units' sets. *Chance*: random images, the floor. δ > 0 says that units' images have more in common; p: "
        f"permutation test; *negligible*: the whole interval is within ±{NEGLIGIBLE}. Colours and pixels are in "
        "[0, 1], distances Euclidean. The last two rows are about directions and use all images.",
    )


def _layers_table(by_layer: Mapping[str, Record], output: Renderer) -> None:
    output.table(
        "layers",
        ["layer", "units used", "class purity: units", "random", "chance", "δ class purity", "δ class share"],
        [
            [
                LAYERS[layer],
                f"{record.values['num_sets']}&nbsp;of&nbsp;{record.values['dim']:,}",
                *(_mean(record, kind, "purity") for kind in ("units", "uniform", "chance")),
                *(effect(record, "units-uniform", name, split=True) for name in ("purity", "class_share")),
            ]
            for layer, record in by_layer.items()
        ],
        caption=f"**Over layers, k = {by_layer[LAST_HIDDEN].config['k']}.** δ of units against random directions. A "
        "unit at each position of a map is a unit of its own; for the pixels it is one colour of a pixel.",
    )


def effect(record: Record, pair: str, name: str, *, split: bool = False) -> str:
    """Return δ with its interval, on two lines for a narrow column."""
    found = record.values["comparisons"][pair][name]
    return effect_text(found["delta"], found["low"], found["high"], split=split)


def word(record: Record, pair: str, name: str) -> str:
    """Return whose images have more in common, in a word."""
    found = record.values["comparisons"][pair][name]
    return verdict_word(found["low"], found["high"])


def _offer_values(by_layer: Mapping[str, Record], output: Renderer) -> None:
    record = by_layer[LAST_HIDDEN]
    output.value("k", str(record.config["k"]))
    output.value("num_images", f"{record.values['num_images']:,}")
    output.value("num_tests", str(len(NAMES)))
    output.value("verdicts", tally({label: word(record, "units-uniform", name) for name, label in NAMES.items()}))
    for kind in ("units", "uniform"):
        shares = [max(map(row.count, row)) / len(row) for row in record.values["classes"][kind]]
        output.value(f"shown.{kind}.purity", number(float(np.mean(shares))))
    for layer, found in by_layer.items():
        output.value(f"{layer}.num_live", f"{found.values['num_live']:,}")
        output.value(f"{layer}.dim", f"{found.values['dim']:,}")
        for kind, means in found.values["means"].items():
            for name in means:
                output.value(f"{layer}.{kind}.{name}", _mean(found, kind, name))
        for pair, effects in found.values["comparisons"].items():
            for name in effects:
                output.value(f"{layer}.{pair}.{name}", effect(found, pair, name))
                output.value(f"{layer}.{pair}.{name}.verdict", word(found, pair, name))


def _mean(record: Record, kind: str, name: str) -> str:
    return number(record.values["means"][kind].get(name, np.nan))


def _grid(record: Record, kind: str) -> Figure:
    images = record.arrays[kind]
    label = {"units": "unit", "uniform": "direction", "chance": "row"}[kind]
    return image_grid(
        [list(row) for row in images],
        row_labels=[f"{label} {i + 1}" for i in range(len(images))],
        cell_inches=0.78,
        text_size=11,
    )


def _classes(record: Record, kind: str) -> str:
    """Say which classes each row shows more than once."""
    parts = []
    for row in record.values["classes"][kind]:
        counts = {name: row.count(name) for name in dict.fromkeys(row)}
        repeated = sorted((name for name in counts if counts[name] > 1), key=lambda name: -counts[name])
        parts.append(", ".join(f"{counts[name]} {name}" for name in repeated) or "none twice")
    rows = "; ".join(f"row {i}: {part}" for i, part in enumerate(parts, 1))
    return f" Classes that a row shows more than once: {rows}."


def _effects(by_layer: Mapping[str, Record]) -> Figure:
    """Draw δ with its interval for every statistic, a panel a layer."""
    layers = [layer for layer in by_layer if layer != "pixels"]
    columns = min(2, len(layers))
    rows = -(-len(layers) // columns)
    with matplotlib.rc_context(spaced(wspace=0.06)):
        figure = Figure(figsize=(6.2, 0.6 + 2.1 * rows))
        axes = np.atleast_1d(figure.subplots(rows, columns, sharex=True, sharey=True)).flat
        for axis, layer in zip(axes, layers, strict=False):
            shade_negligible(axis)
            for y, name in enumerate(NAMES):
                found = by_layer[layer].values["comparisons"]["units-uniform"][name]
                axis.plot((found["low"], found["high"]), (y, y), color=SERIES[0], linewidth=1.6)
                axis.plot(found["delta"], y, "o", color=SERIES[0], markersize=4.5)
            axis.set_title(LAYERS[layer], fontsize=10)
            axis.set_yticks(range(len(NAMES)), NAMES.values())
            axis.set_xlim(-1.05, 1.05)
            axis.set_xticks((-0.5, 0, 0.5))
        axis.invert_yaxis()
        figure.supxlabel("Cliff's δ, units against random directions", fontsize="medium")
    return figure
