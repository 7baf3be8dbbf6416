"""Grids of images, with a label a row and a title an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from tutorial_pkg.figures.style import STYLE

T = TypeVar("T")

GAP = 0.3
"""Between groups of images, as a share of an image."""


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
