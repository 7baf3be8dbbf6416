"""What the benchmarks measured, for the Performance page: `results/benchmark/*.json` to figures and tables."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tutorial_pkg.figures import (
    SERIES,
    STYLE,
    caption_block,
    figure_block,
    markdown_table,
    spaced,
    write_if_changed,
)
from tutorial_pkg.provenance import provenance_span

Benchmark = Mapping[str, Any]
COLORS = {
    "ours": SERIES[0],
    "SciPy": SERIES[1],
    "Foolbox": SERIES[2],
    "torchattacks": SERIES[3],
    "adv-lib": SERIES[5],  # not the fifth, a blue as this engine's
}
"""Of a package, the same in every figure."""
OTHER = SERIES[7]
"""Of a package that is new."""
MARKERS = "osD^vP*X<>dh"
"""Of the attacks of one package, which share a colour."""
NEAREST = 1e-3
"""In percent above the smallest distortion known: where an attack is drawn that is nearer. A logarithm has no zero."""


def write_performance(root: Path, results: Path) -> None:
    """Render every benchmark record there is below `docs/_generated/performance/`.

    Args:
        root: the folder of generated fragments.
        results: the folder of the records, with a folder `benchmark`.
    """
    folder = root / "performance"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((results / "benchmark").glob("*.json")):
        benchmark = json.loads(path.read_text(encoding="utf-8"))
        for key, render in RENDERERS.items():
            if key in benchmark:
                write_if_changed(folder / f"{path.stem}.md", render(path.stem, benchmark))
        for goal in ("targeted", "untargeted"):
            rows = [row for row in benchmark.get("rows", ()) if row["goal"] == goal]
            if rows:
                drawn = not path.stem.startswith("ablation")
                name = f"{path.stem}-{goal}"
                write_if_changed(folder / f"{name}.md", _comparison(name, benchmark, rows, goal, drawn=drawn))


def _comparison(name: str, benchmark: Benchmark, rows: Sequence[Mapping[str, Any]], goal: str, *, drawn: bool) -> str:
    what = f"{benchmark['model']} on {benchmark['data']}, {benchmark['num_images']:,} images"
    title = f"The attacks, {goal}" if drawn else f"One part left out or changed at a time, {goal}"
    caption = (
        f"**{title}.** *Ratio*: of the distortion to the smallest known for the image. *Passes*: forward + backward, "
        f"of an image. {_provenance(name, benchmark, what)}"
    )
    table = f"{attack_table(rows)}\n\n{caption_block(caption)}\n"
    if not drawn:
        return table
    figure = figure_block(
        pareto_figure(rows),
        caption=f"**Distortion against speed, {goal}.** Left and up is better: nearer to the smallest distortion "
        f"known, and more images a second. What is less than {NEAREST:g} % above it is drawn at {NEAREST:g} %. A "
        "colour is a package; filled: this engine. In parentheses: the success of those that fail on some, and on how "
        f"many images slow attacks ran. {_provenance(f'{name}-figure', benchmark, what)}",
        alt=f"Scatter plot of {len(rows)} {goal} attacks: images a second against excess distortion",
    )
    return f"{figure}\n{table}"


def attack_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows of a benchmark as a Markdown table."""
    return markdown_table(
        ["attack", "images", "success %", "ratio, mean", "median", "largest", "passes", "images/s"],
        [
            [
                row["name"],
                f"{row['num_images']:,}",
                f"{100 * row['success']:.1f}",
                f"{row['ratio_mean']:.4f}",
                f"{row['ratio_median']:.4f}",
                f"{row['ratio_max']:.3f}",
                f"{row['forward_passes']:,.0f} + {row['backward_passes']:,.0f}".replace(" ", "\N{NO-BREAK SPACE}"),
                f"{row['images_per_second']:,.1f}",
            ]
            for row in rows
        ],
    )


def pareto_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw how far each attack ends above the smallest distortion known, against its speed.

    The legend is below, in a figure narrow enough to stay readable on a telephone.
    """
    packages: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        packages[row["name"].split()[0].rstrip(":")].append(row)
    num_images = max(row["num_images"] for row in rows)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.7, 3.2 + 0.21 * len(rows)))
        axis = figure.subplots()
        for package, attacks in packages.items():
            color = COLORS.get(package, OTHER)
            for marker, row in zip(cycle(MARKERS), attacks, strict=False):
                axis.plot(
                    max(100 * (row["ratio_mean"] - 1), NEAREST),
                    row["images_per_second"],
                    linestyle="none",
                    marker=marker,
                    markersize=8,
                    markeredgewidth=1.6,
                    color=color,
                    markerfacecolor=color if package == "ours" else "none",
                    label=row["name"] + _reservations(row, num_images),
                )
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.margins(0.1)
        axis.set_xlabel("mean distortion above the smallest known, in %")
        axis.set_ylabel("images a second")
        figure.legend(loc="outside lower left", alignment="left", labelspacing=0.3)
    return figure


def _reservations(row: Mapping[str, Any], num_images: int) -> str:
    """Return, in parentheses, the success of an attack that fails on some, and on how many images a slow one ran."""
    parts = [
        f"{100 * row['success']:.0f} %" * (row["success"] <= 0.9995),
        f"{row['num_images']} images" * (row["num_images"] < num_images),
    ]
    return f" ({', '.join(filter(None, parts))})" if any(parts) else ""


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
        f"{_provenance(name, benchmark, what)}",
        alt="Images a second against batch size, image side and number of classes",
    )
    caption = f"**The same in numbers.** {_provenance(f'{name}-table', benchmark, what)}"
    return f"{figure}\n{table}\n\n{caption_block(caption)}\n"


def _refreshes(name: str, benchmark: Benchmark) -> str:
    table = markdown_table(
        ["pool of", "made by", "examples / s"],
        [
            [row["layer"], row["source"].replace("_", " "), f"{row['examples_per_second']:,.0f}"]
            for row in benchmark["refreshes"]
        ],
        num_text_columns=2,
    )
    provenance = _provenance(name, benchmark, f"{benchmark['num_examples']:,} examples a pool, the bundled digits")
    caption = (
        "**What a pool costs to keep up.** A sigmoid network with two hidden layers of 100 trains on "
        f"{benchmark['clean_images_per_second']:,.0f} clean images a second in the same run. {provenance}"
    )
    return f"{table}\n\n{caption_block(caption)}\n"


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
    what = f"{benchmark['model']} on {benchmark['data']}"
    caption = f"**A whole training set**, attacked at once. {_provenance(name, benchmark, what)}"
    return f"{table}\n\n{caption_block(caption)}\n"


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
        f"{_provenance(name, benchmark, 'random weights, grids of 56, 27 and 13 frequencies an axis', clock=False)}"
    )
    return f"{table}\n\n{caption_block(caption)}\n"


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
        f"attacked on its own. {_provenance(name, benchmark, 'noisy prototypes of 16 × 16 pixels')}"
    )
    return f"{table}\n\n{caption_block(caption)}\n"


RENDERERS: Mapping[str, Callable[[str, Benchmark], str]] = {
    "points": _scaling,
    "refreshes": _refreshes,
    "seconds_taken": _training_set,
    "totals": _frame_bounds,
    "orders": _orders,
}
"""A field that only one kind of record has → what renders that kind, given its name and the record."""


def _provenance(name: str, benchmark: Benchmark, what: str, *, clock: bool = True) -> str:
    machine, threads = benchmark["machine"], benchmark["threads"]
    where = machine.get("accelerator") or f"{machine['processor']}, {threads} thread{'s' * (threads > 1)}"
    seconds = {"processor": "seconds of processor time", "elapsed": "elapsed seconds"}[benchmark["seconds"]]
    line = " · ".join([what, where, *([seconds] if clock else [])])
    versions = ", ".join(f"{package} {version}" for package, version in benchmark["versions"].items() if version)
    return provenance_span(line, versions, name=f"performance-{name}")
