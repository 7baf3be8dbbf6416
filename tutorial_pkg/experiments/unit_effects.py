"""What the comparisons of units with random directions share, on digits and on photographs: an effect, in a word."""

from __future__ import annotations

from typing import Any

from tutorial_pkg.figures import SERIES, with_interval
from tutorial_pkg.units import NEGLIGIBLE, verdict

VERDICTS = {"first": "units", "second": "random", "negligible": "negligible", "undecided": "undecided"}
"""Whose images have more in common: verdict on units against random directions → what a table says."""


def verdict_word(low: float, high: float) -> str:
    """Return whose images have more in common, in a word.

    Args:
        low: end of the interval of δ, units against random directions.
        high: the other end.
    """
    return VERDICTS[verdict(low, high)]


def effect_text(delta: float, low: float, high: float, *, split: bool = False) -> str:
    """Return δ with its interval.

    Args:
        delta: Cliff's δ.
        low: end of its interval.
        high: the other end.
        split: whether on two lines, for a narrow column.
    """
    text = with_interval(delta, low, high)
    return text.replace(" [", "<br>[") if split else text


def shade_negligible(axis: Any) -> None:
    """Shade the range of δ that is negligible by convention."""
    axis.axvspan(-NEGLIGIBLE, NEGLIGIBLE, color=SERIES[7], alpha=0.18, linewidth=0)
