"""Numbers as text, and the Markdown tables and cells that they stand in."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


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
