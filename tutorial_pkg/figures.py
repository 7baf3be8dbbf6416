"""From records to what the site shows: SVG figures that follow the palette, image grids, Markdown tables."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure

from tutorial_pkg.files import write_atomically
from tutorial_pkg.provenance import provenance, provenance_span
from tutorial_pkg.records import Record

# Matplotlib cannot write CSS variables, so figures are drawn in these stand-ins and rewritten afterwards.
INK, GRID, PAPER = "#0a0b0c", "#d0d1d2", "#fdfefd"
SERIES = ("#010fa0", "#b35a02", "#037a53", "#a0045f", "#05708f", "#7a5f06", "#6007b0", "#5a5a08")
_VARIABLES = {INK: "--fig-ink", GRID: "--fig-grid", PAPER: "--fig-paper"} | {
    color: f"--fig-{i + 1}" for i, color in enumerate(SERIES)
}

T = TypeVar("T")

GAP = 0.3
"""Between groups of images, as a share of an image."""

STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it is searchable and takes the page's font
    "svg.hashsalt": "tutorial_pkg",  # the same figure gives the same bytes
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=SERIES),
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "font.size": 10,
    "font.family": "sans-serif",
    "figure.constrained_layout.use": True,
}
"""Matplotlib settings for every figure of the site; use as `with matplotlib.rc_context(STYLE)`."""


def spaced(*, wspace: float = 0.02, hspace: float = 0.02) -> Any:
    """Return `STYLE` with wider gaps between panels, where tick labels would meet.

    Args:
        wspace: between columns, as a share of a panel's size.
        hspace: between rows, likewise.
    """
    return STYLE | {"figure.constrained_layout.wspace": wspace, "figure.constrained_layout.hspace": hspace}


class Renderer:
    """Collects what an experiment shows, and writes it below `docs/_generated/<experiment>/`.

    Args:
        root: the folder of generated fragments.
        experiment: name of the experiment whose fragments these are.
        records: what they are rendered from; their provenance goes under each figure and table.
        stale: see `provenance.provenance`.
        confirmed_in: likewise.
    """

    def __init__(
        self, root: Path, experiment: str, records: Sequence[Record], *, stale: bool = False, confirmed_in: str = ""
    ) -> None:
        self.folder = root / experiment
        self.experiment = experiment
        self.values: dict[str, str] = {}
        self.written: set[Path] = set()
        self._stated = partial(provenance, records, stale=stale, confirmed_in=confirmed_in)
        self._provenance = self._stated()

    def note_no_data(self) -> None:
        """Say under what is written from here on that no data were used; every record has to name a data set."""
        self._provenance = self._stated(uses_data=False)

    def table(
        self,
        name: str,
        header: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        caption: str = "",
        num_text_columns: int = 1,
    ) -> None:
        """Write a Markdown table with its caption and provenance as `<name>.md`; see `markdown_table`."""
        shown = markdown_table(header, rows, num_text_columns=num_text_columns)
        self._write(f"{name}.md", f"{shown}\n\n{caption_block(self._with_provenance(name, caption))}\n")

    def figure(self, name: str, figure: Figure, *, caption: str, alt: str) -> None:
        """Write a figure as inline SVG with its caption and provenance as `<name>.md`.

        Args:
            caption: what a reader should see, in Markdown.
            alt: what it shows, for those who cannot see it.
        """
        self._write(f"{name}.md", figure_block(figure, caption=self._with_provenance(name, caption), alt=alt))

    def value(self, key: str, text: str) -> None:
        """Offer a number to the prose as `{{ <experiment>.<key> }}`."""
        self.values[f"{self.experiment}.{key}"] = text

    def _with_provenance(self, name: str, caption: str) -> str:
        return f"{caption} {provenance_span(*self._provenance, name=f'{self.experiment}-{name}')}"

    def _write(self, name: str, content: str) -> None:
        path = self.folder / name
        write_if_changed(path, content)
        self.written.add(path)


def figure_block(figure: Figure, *, caption: str, alt: str) -> str:
    """Return a figure as inline SVG with its caption below, in Markdown.

    Args:
        figure: drawn with `STYLE`, so that its colours can follow the palette.
        caption: what a reader should see, in Markdown.
        alt: what it shows, for those who cannot see it.
    """
    svg = figure_svg(figure, title=alt)
    return f'<figure class="record" markdown="1">\n{svg}\n</figure>\n\n{caption_block(caption)}\n'


def caption_block(caption: str) -> str:
    """Return a caption in the site's style; it may hold Markdown."""
    return f'<p class="caption" markdown="span">{caption}</p>'


def write_if_changed(path: Path, content: str) -> None:
    """Write a text file, and its folder, unless it says the same already: what has not changed need not be rebuilt."""
    if not path.exists() or path.read_text(encoding="utf-8") != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.encode())


def write_values(root: Path, values: dict[str, str]) -> None:
    """Write the numbers that prose may quote to `values.json`."""
    write_if_changed(root / "values.json", json.dumps(values, indent=1, sort_keys=True) + "\n")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, num_text_columns: int = 1) -> str:
    """Return a Markdown table: the first columns, of text, left-aligned and those of numbers right-aligned.

    Args:
        header: a title a column.
        rows: cells in Markdown, as many a row as titles.
        num_text_columns: how many columns are of text.
    """
    alignment = ["---" if i < num_text_columns else "---:" for i in range(len(header))]
    lines = [header, alignment, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(fraction: float, digits: int = 2) -> str:
    """Format a fraction in percent; NaN becomes a dash, and what is none or all of it has no decimals."""
    if math.isnan(fraction):
        return "–"
    return f"{100 * fraction:.{0 if fraction in (0, 1) else digits}f} %"


def number(value: float, digits: int = 2) -> str:
    """Format a number, "−0.05"; NaN becomes a dash."""
    return "–" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 2) -> str:
    """Format a difference with its sign, "−0.05"; what rounds to zero has none."""
    text = f"{value:+.{digits}f}"
    return (text if float(text) else text[1:]).replace("-", "−")


def with_interval(value: float, low: float, high: float, digits: int = 2) -> str:
    """Format a difference and its interval, "+0.05 [−0.01, +0.11]".

    Args:
        value: the difference.
        low: end of its interval.
        high: the other end.
        digits: after the point.
    """
    return f"{signed(value, digits)} [{signed(low, digits)},\N{NO-BREAK SPACE}{signed(high, digits)}]"


def span(values: Sequence[int]) -> str:
    """Format whole numbers as "970 to 974", or as one where all are the same."""
    return f"{min(values):,} to {max(values):,}" if min(values) < max(values) else f"{values[0]:,}"


def mean_sd(values: Sequence[float], digits: int = 2, scale: float = 1.0) -> str:
    """Format a mean and, from two values on, their standard deviation, "1.64 ± 0.05", on one line.

    Args:
        values: one a seed, split or network; the deviation is the sample's, over n − 1.
        digits: after the point.
        scale: what both are multiplied by.
    """
    mean = f"{scale * float(np.mean(values)):.{digits}f}"
    sd = f"{scale * float(np.std(values, ddof=1)):.{digits}f}" if len(values) > 1 else ""
    if not sd or float(sd) == 0:  # one that rounds to zero says nothing
        return mean
    return f"{mean}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{sd}"


def beside(ours: str, other: str, *, below: bool = False) -> str:
    """Format a cell: our number, and another small and in parentheses after or below it.

    Args:
        ours: a formatted number.
        other: likewise.
        below: put the other one on a line of its own.
    """
    return f"{ours}{'<br>' if below else '&nbsp;'}<small>({other})</small>"


def shaded(text: str, share: float) -> str:
    """Put a cell on a ground that is the stronger the larger the share, from 0, none, to 1."""
    return f'<span class="shaded" style="--share: {100 * share:.0f}%">{text}</span>'


def muted(text: str) -> str:
    """Write a cell faintly, whose number is what it is by construction."""
    return f'<span class="muted">{text}</span>'


def sd_below(text: str) -> str:
    """Put the standard deviation of `mean_sd` small below its mean, for tables of many columns."""
    mean, _, sd = text.partition("\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")
    return f"{mean}<br><small>±\N{NO-BREAK SPACE}{sd}</small>" if sd else mean


def image_grid(
    rows: Sequence[Sequence[np.ndarray]],
    *,
    row_labels: Sequence[str] = (),
    titles: Sequence[Sequence[str]] = (),
    cell_inches: float = 0.72,
    text_size: float = 8,
    group: int = 0,
    column_titles: Sequence[str] = (),
) -> Figure:
    """Draw images in rows, with a label a row and a small title over each image.

    Args:
        rows: images, `[height, width]` or `[height, width, 3]`, bytes or numbers in [0, 1].
        row_labels: one a row, left of it.
        titles: one an image, of one line or more.
        cell_inches: side of a cell.
        text_size: of the titles, in points; many columns on a narrow screen need more. Row labels are larger by one.
        group: columns that belong together; after each group is a gap. 0: all do.
        column_titles: one a column, over the first row; those of one group are repeated for the others.
    """
    num_columns = max(len(row) for row in rows)
    places = [j + (j // group if group else 0) for j in range(num_columns)]  # the gaps are columns, too
    widths = [1.0 if j in places else GAP for j in range(places[-1] + 1)]
    size = (cell_inches * sum(widths), cell_inches * (1.28 if titles else 1.05) * len(rows))
    margins = (1.2 * bool(row_labels), 0.25 * bool(column_titles))
    num_lines = max(title.count("\n") + 1 for title in titles[0]) if titles else 0  # below the columns' titles
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(size[0] + margins[0], size[1] + margins[1]))
        axes = figure.subplots(len(rows), len(widths), squeeze=False, gridspec_kw={"width_ratios": widths})
        for axis in axes.flat:
            axis.set_axis_off()
        for i, row in enumerate(rows):
            for j, (place, image) in enumerate(zip(places, row, strict=False)):
                axis = axes[i, place]
                pixels = image / 255.0 if image.dtype == np.uint8 else image
                axis.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="none")
                if titles:
                    axis.set_title(titles[i][j], fontsize=text_size, fontweight="normal", pad=2)
                if column_titles and i == 0:
                    above = 1.4 * text_size * num_lines + 4
                    text = column_titles[j % len(column_titles)]
                    _note(axis, text, (0.5, 1), (0, above), ha="center", fontsize=text_size + 1, fontweight="bold")
            if row_labels:
                _note(axes[i, 0], row_labels[i], (-0.15, 0.5), (0, 0), ha="right", va="center", fontsize=text_size + 1)
    return figure


def two_a_row(groups: Sequence[Sequence[T]]) -> list[list[T]]:
    """Put groups of images, or their titles, side by side, two a row; an odd one stands alone in the last row.

    Example:
        >>> two_a_row([("a", "b"), ("c", "d"), ("e", "f")])
        [['a', 'b', 'c', 'd'], ['e', 'f']]
    """
    return [[item for group in groups[i : i + 2] for item in group] for i in range(0, len(groups), 2)]


def _note(axis: Any, text: str, place: tuple[float, float], points: tuple[float, float], **style: Any) -> None:
    """Write beside an image, so many points from a place that is given as a share of its sides."""
    axis.annotate(text, place, points, xycoords="axes fraction", textcoords="offset points", **style)


def figure_svg(figure: Figure, *, title: str) -> str:
    """Return a figure as an `<svg>` element that follows the page's palette and scales to its width."""
    buffer = StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return themable_svg(buffer.getvalue(), title=title)


def themable_svg(svg: str, *, title: str = "") -> str:
    """Rewrite a Matplotlib SVG for use inside a page: colours become CSS variables, sizes relative.

    Args:
        svg: a whole SVG document, drawn with `STYLE`.
        title: a description for screen readers.
    """
    svg = svg[svg.index("<svg") :]
    for color, variable in _VARIABLES.items():
        svg = re.sub(re.escape(color), f"var({variable})", svg, flags=re.IGNORECASE)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # An inline style sheet holds for the whole page, and Matplotlib's begins with `*`.
    svg = svg.replace('<style type="text/css">*{', '<style type="text/css">.themable *{')
    svg = re.sub(r"font: ([^;\"]*?[\d.]+px) [^;\"]*", r"font: \1 var(--fig-font, sans-serif)", svg)
    width = re.search(r'<svg[^>]*?\bwidth="([\d.]+)pt"', svg, flags=re.DOTALL)
    natural = f' style="max-width: min(100%, {float(width[1]) * 4 / 3:.0f}px)"' if width else ""
    svg = re.sub(r'(<svg[^>]*?) width="[\d.]+pt"', r"\1", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[\d.]+pt"', r"\1", svg, count=1, flags=re.DOTALL)
    label = title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    role = f' role="img" aria-label="{label}"' if title else ""
    svg = svg.replace("<svg", f'<svg class="themable"{role}{natural}', 1)
    # A blank line would end the HTML block in Markdown.
    return re.sub(r"\n\s*\n", "\n", svg).strip()
