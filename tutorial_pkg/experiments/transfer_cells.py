"""What Tables 2 and 4 share: their cells as counts in a record, and as numbers and figures beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from scipy.stats import bootstrap

from tutorial_pkg.figures import INK, PAPER, SERIES, beside, muted, shaded, signed, spaced
from tutorial_pkg.records import Record
from tutorial_pkg.transfer import Rate, TransferTable

Reading = Literal["all", "correct"]
READINGS: tuple[Reading, ...] = get_args(Reading)
"""Over all images, or over those that the model had right before they were distorted."""

PAPER_NUM_IMAGES = 256
"""Images behind the paper's percentages, inferred: nearly all are multiples of 1/256 (see the page Transfer)."""


def transfer_values(table: TransferTable) -> dict[str, Any]:
    """Return a table as counts of errors: row → column → count, with what to divide them by."""
    totals = {column: table.of_correct(table.rows[0], column).total for column in table.columns}
    return {
        "num_images": table.wrong.shape[-1],
        "num_correct": totals,
        "errors_clean": {column: table.clean(column).count for column in table.columns},
        "errors_of_all": {
            row: {column: table.of_all(row, column).count for column in table.columns} for row in table.rows
        },
        "errors_of_correct": {
            row: {column: table.of_correct(row, column).count for column in table.columns} for row in table.rows
        },
    }


def mean_with_interval(per_image: np.ndarray, *, seed: int) -> dict[str, float]:
    """Return a mean over images with the 95 % interval of the percentile bootstrap."""
    found = bootstrap(
        (per_image,),
        np.mean,
        n_resamples=1999,
        batch=100,
        method="percentile",
        random_state=np.random.default_rng(seed),
    )
    low, high = found.confidence_interval
    return {"mean": float(per_image.mean()), "low": float(low), "high": float(high)}


def rates(records: Sequence[Record], row: str, column: str, reading: Reading = "all") -> list[Rate]:
    """Return a cell of every record."""
    return [
        Rate(
            record.values[f"errors_of_{reading}"][row][column],
            record.values["num_images"] if reading == "all" else record.values["num_correct"][column],
        )
        for record in records
    ]


def mean_rate(records: Sequence[Record], row: str, column: str, reading: Reading = "all") -> float:
    """Return a cell's mean over the records, which are seeds or splits."""
    return float(np.mean([rate.fraction for rate in rates(records, row, column, reading)]))


def interval(records: Sequence[Record], row: str, column: str, reading: Reading = "all") -> tuple[float, float]:
    """Return the hull of a cell's 95 % intervals over the records: images and seeds both vary in it."""
    bounds = [rate.interval() for rate in rates(records, row, column, reading)]
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def paper_rate(percentage: float) -> Rate:
    """Return the paper's percentage as the nearest share of its images."""
    return Rate(round(percentage / 100 * PAPER_NUM_IMAGES), PAPER_NUM_IMAGES)


def outside_paper(
    records: Sequence[Record], rows: Sequence[str], columns: Sequence[str], paper: Mapping[str, Sequence[float]]
) -> dict[tuple[str, str], Literal["lower", "higher"]]:
    """Return the cells whose mean error lies outside the 95 % interval of the paper's, and on which side.

    Args:
        rows, columns: names of the cells.
        paper: as for `cells_figure`.
    """
    found: dict[tuple[str, str], Literal["lower", "higher"]] = {}
    for row in rows:
        for column, printed in zip(columns, paper[row], strict=True):
            low, high = paper_rate(printed).interval()
            ours = mean_rate(records, row, column)
            if not low <= ours <= high:
                found[row, column] = "lower" if ours < low else "higher"
    return found


def error_cell(error: float, other: str, *, own: bool, below: bool = True) -> str:
    """Format a cell of a table of errors, shaded by the error.

    Args:
        error: ours, as a fraction.
        other: the number to compare it with, small after or below it.
        own: whether the examples were made for the model that errs; such a cell is faint.
        below: whether the other number stands below.
    """
    text = beside(f"{100 * error:.1f}", other, below=below)
    return muted(text) if own else shaded(text, error)


def points(found: Mapping[str, float]) -> str:
    """Format what `mean_with_interval` returned, in percentage points."""
    mean, low, high = (signed(100 * found[key], 1) for key in ("mean", "low", "high"))
    return f"{mean} points ({low} to {high})"


def cells_figure(
    records: Sequence[Record],
    rows: Mapping[str, str],
    columns: Sequence[str],
    paper: Mapping[str, Sequence[float]],
) -> Figure:
    """Draw a panel a column: for each row our error and the paper's, each with its interval.

    Args:
        rows: row of the records → label; rows that the paper has are in `paper` under the same name.
        columns: the models.
        paper: row → errors in %, in the order of the columns.
    """
    panels_per_line = 2 if len(columns) % 2 == 0 else min(3, len(columns))
    lines = -(-len(columns) // panels_per_line)
    with matplotlib.rc_context(spaced(wspace=0.05)):
        figure = Figure(figsize=(6.4, 0.3 + lines * (0.75 + 0.27 * len(rows))))
        panels = figure.subplots(lines, panels_per_line, sharex=True, sharey=True, squeeze=False)
        places = np.arange(len(rows))[::-1]
        for j, column in enumerate(columns):
            axis = panels.flat[j]
            theirs = [paper_rate(paper[row][j]) for row in rows]
            ours = [100 * mean_rate(records, row, column) for row in rows]
            # The paper's point is what it prints, its interval that of the nearest count.
            _dots(axis, [paper[row][j] for row in rows], [t.interval() for t in theirs], places - 0.17, "paper")
            _dots(axis, ours, [interval(records, row, column) for row in rows], places + 0.17, "ours")
            axis.set_title(column, fontsize=10)
            axis.set_yticks(places, list(rows.values()))
            axis.set_xlim(-3, 103)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        for axis in panels.flat[len(columns) :]:
            axis.set_axis_off()
        for axis in panels.flat[len(columns) - panels_per_line : len(columns)]:
            axis.set_xlabel("error, %")
            axis.tick_params(labelbottom=True)
    return figure


def _dots(
    axis: Any,
    percentages: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    places: np.ndarray,
    who: Literal["ours", "paper"],
) -> None:
    color = SERIES[0] if who == "ours" else INK
    lows, highs = 100 * np.array(intervals).T
    axis.hlines(places, lows, highs, color=color, linewidth=1.2, alpha=0.7)
    face = color if who == "ours" else PAPER
    axis.plot(percentages, places, "o", markersize=4, color=color, markerfacecolor=face, label=who)
