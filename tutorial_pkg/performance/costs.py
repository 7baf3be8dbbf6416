"""What things cost: an image as sizes grow, a pool, a whole training set, many classes, frame bounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tutorial_pkg.figures import figure_block, markdown_table, spaced
from tutorial_pkg.performance.base import Benchmark, captioned, measured_on, provenance_of


def scaling_figure(points: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the speed against each quantity that was varied, one panel each."""
    varied = list(dict.fromkeys(point["varied"] for point in points))
    with matplotlib.rc_context(spaced(wspace=0.12)):
        figure = Figure(figsize=(6.4, 2.8))
        axes = figure.subplots(1, len(varied), sharey=True, squeeze=False)[0]
        for axis, name in zip(axes, varied, strict=True):
            found = [point for point in points if point["varied"] == name]
            axis.plot([p["value"] for p in found], [p["images_per_second"] for p in found], marker="o")
            axis.set_xscale("log")
            axis.set_yscale("log")
            shown = found if len(found) < 5 else found[::2]  # more labels would run into each other
            axis.set_xticks([p["value"] for p in shown], [str(p["value"]) for p in shown])
            axis.minorticks_off()
            axis.margins(0.15)
            axis.set_xlabel(name)
        axes[0].set_ylabel("images a second")
    return figure


def _scaling(name: str, benchmark: Benchmark) -> str:
    points = benchmark["points"]
    table = markdown_table(
        ["varied", "value", "images / s", "passes an image", "floor, % of the time"],
        [
            [
                point["varied"],
                f"{point['value']:,}",
                f"{point['images_per_second']:,.0f}",
                f"{point['passes_per_image']:.0f}",
                f"{100 * point['floor_share']:.0f}",
            ]
            for point in points
        ],
    )
    what = f"{benchmark['num_images']} images a point"
    figure = figure_block(
        scaling_figure(points),
        caption=f"**What an attacked image costs** as one thing is varied at a time: a sigmoid network with two hidden "
        f"layers of 100, 28 × 28 pixels, 10 classes and batches of 256 unless the panel says otherwise. "
        f"{provenance_of(name, benchmark, what)}",
        alt="Images a second against batch size, image side and number of classes",
    )
    caption = f"**The same in numbers.** {provenance_of(f'{name}-table', benchmark, what)}"
    return f"{figure}\n{captioned(table, caption)}"


def _refreshes(name: str, benchmark: Benchmark) -> str:
    table = markdown_table(
        ["pool of", "made by", "examples / s"],
        [
            [row["layer"], row["source"].replace("_", " "), f"{row['examples_per_second']:,.0f}"]
            for row in benchmark["refreshes"]
        ],
        num_text_columns=2,
    )
    provenance = provenance_of(name, benchmark, f"{benchmark['num_examples']:,} examples a pool, the bundled digits")
    caption = (
        "**What a pool costs to keep up.** A sigmoid network with two hidden layers of 100 trains on "
        f"{benchmark['clean_images_per_second']:,.0f} clean images a second in the same run. {provenance}"
    )
    return captioned(table, caption)


def _training_set(name: str, benchmark: Benchmark) -> str:
    seconds, num = benchmark["seconds_taken"], benchmark["num_images"]
    table = markdown_table(
        ["images", "seconds", "images / s", "memory above the data, GiB", "success %", "mean distortion"],
        [
            [
                f"{num:,}",
                f"{seconds:,.1f}",
                f"{num / seconds:,.0f}",
                f"{benchmark['peak_memory_above_mb'] / 1024:.2f}",
                f"{100 * benchmark['success']:.2f}",
                f"{benchmark['rms_distortion']:.4f}",
            ]
        ],
        num_text_columns=0,
    )
    where = provenance_of(name, benchmark, measured_on(benchmark))
    caption = f"**A whole training set**, attacked at once. {where}"
    return captioned(table, caption)


def _frame_bounds(name: str, benchmark: Benchmark) -> str:
    ours, plain = benchmark["totals"]["ours"], benchmark["totals"]["plain"]
    rows = [
        [
            layer["layer"],
            f"{layer['seconds']:.2f}",
            f"{layer['plain_seconds']:.2f}",
            f"{layer['plain_seconds'] / layer['seconds']:.1f}",
            _error(layer["error"]),
        ]
        for layer in benchmark["layers"]
    ]
    ratio = f"{plain['seconds'] / ours['seconds']:.1f}"
    largest = max(layer["error"] for layer in benchmark["layers"])
    rows.append(["all", f"{ours['seconds']:.2f}", f"{plain['seconds']:.2f}", ratio, _error(largest)])
    table = markdown_table(["layer", "ours, s", "full SVD, s", "times faster", "difference of the bounds"], rows)
    caption = (
        "**Both frame bounds of AlexNet's layers**, beside the singular values of every matrix on the grid. Seconds "
        f"elapsed; of the processor {ours['cpu_seconds']:.1f} and {plain['cpu_seconds']:.1f}; peak memory "
        f"{ours['peak_memory_mb'] / 1024:.1f} and {plain['peak_memory_mb'] / 1024:.1f} GiB. "
        f"{provenance_of(name, benchmark, 'random weights, grids of 56, 27 and 13 frequencies an axis', clock=False)}"
    )
    return captioned(table, caption)


def _error(difference: float) -> str:
    return f"{difference:.0e}" if difference else "0"


def _orders(name: str, benchmark: Benchmark) -> str:
    networks: dict[tuple[str, int], list[Mapping[str, Any]]] = defaultdict(list)
    for row in benchmark["orders"]:
        networks[row["network"], row["num_classes"]].append(row)
    rows = []
    for (network, num_classes), found in networks.items():
        mean = {key: float(np.mean([row[key] for row in found])) for key in found[0] if key != "network"}
        rows.append(
            [
                network,
                f"{num_classes:,}",
                f"{len(found)} × {found[0]['num_images']}",
                f"{100 * mean['success']:.1f}",
                f"{100 * mean['nearest_share']:.0f}",
                f"{mean['ratio_mean']:.4f}",
                f"{max(row['ratio_max'] for row in found):.3f}",
                f"{mean['passes']:,.0f}",
                f"{mean['passes_of_all']:,.0f}",
                f"{mean['seconds_of_all'] / mean['seconds']:.0f}",
            ]
        )
    header = ["network", "classes", "inputs", "success %", "nearest found, %", "ratio, mean", "largest", "passes"]
    table = markdown_table([*header, "to every class", "times faster"], rows)
    caption = (
        "**What is lost by not trying every class.** Means over the networks of a kind, with other seeds than those "
        "that the order of classes was chosen on. *Ratio*: of the distortion to the smallest over all classes, each "
        f"attacked on its own. {provenance_of(name, benchmark, 'noisy prototypes of 16 × 16 pixels')}"
    )
    return captioned(table, caption)


RENDERERS: Mapping[str, Callable[[str, Benchmark], str]] = {
    "points": _scaling,
    "refreshes": _refreshes,
    "seconds_taken": _training_set,
    "totals": _frame_bounds,
    "orders": _orders,
}
"""A field that only one kind of record has → what renders that kind, given its name and the record."""
