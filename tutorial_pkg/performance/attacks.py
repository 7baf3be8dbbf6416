"""The attacks side by side, and this engine with one part left out at a time: distortion against speed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import cycle
from textwrap import indent
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from tutorial_pkg.figures import SERIES, STYLE, figure_block, markdown_table
from tutorial_pkg.performance.base import Benchmark, captioned, measured_on, provenance_of

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


def comparison(name: str, benchmark: Benchmark, rows: Sequence[Mapping[str, Any]], goal: str, *, drawn: bool) -> str:
    """Return the fragment of the attacks with one goal.

    Args:
        name: of the fragment.
        benchmark: the record.
        rows: those of the goal.
        goal: "targeted" or "untargeted".
        drawn: with a figure; without, the rows are variants of one attack.
    """
    what = f"{measured_on(benchmark)}, {benchmark['num_images']:,} images"
    title = f"The attacks, {goal}" if drawn else f"One part left out or changed at a time, {goal}"
    caption = (
        f"**{title}.** *Ratio*: of the distortion to the smallest known for the image. *Passes*: forward + backward, "
        f"of an image. {provenance_of(name, benchmark, what)}"
    )
    table = captioned(attack_table(rows), caption)
    if not drawn:
        return table
    figure = figure_block(
        pareto_figure(rows),
        caption=f"**Distortion against speed, {goal}.** Left and up is better: nearer to the smallest distortion "
        f"known, and more images a second. What is less than {NEAREST:g} % above it is drawn at {NEAREST:g} %. A "
        "colour is a package; filled: this engine. In parentheses: the success of those that fail on some, and on how "
        f"many images slow attacks ran. {provenance_of(f'{name}-figure', benchmark, what)}",
        alt=f"Scatter plot of {len(rows)} {goal} attacks: images a second against excess distortion",
    )
    return f'{figure}\n??? note "The same in numbers"\n\n{indent(table, "    ")}'


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
