"""What the comparisons of units with random directions share, on digits and on photographs: an effect, in a word."""

from __future__ import annotations

from collections.abc import Mapping
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


def tally(words: Mapping[str, str]) -> str:
    """Say in how many statistics units and random directions differ, and name those that favour either.

    Args:
        words: name of a statistic, perhaps with its unit after a comma → its `verdict_word`.

    Example:
        >>> tally({"purity": "negligible", "entropy": "negligible", "class share": "units"})
        '2 differ negligibly and 1 favours units (class share)'
        >>> tally({"purity": "negligible", "entropy": "negligible"})
        'all differ negligibly'
    """
    groups = {kind: [name for name, word in words.items() if word == kind] for kind in VERDICTS.values()}

    def part(kind: str, one: str, several: str) -> str:
        number = "all" if len(groups[kind]) == len(words) > 1 else str(len(groups[kind]))
        names = ", ".join(name.partition(",")[0] for name in groups[kind] if kind in ("units", "random"))
        return f"{number} {one if number == '1' else several}" + f" ({names})" * bool(names)

    parts = [
        part(kind, *verbs)
        for kind, verbs in (
            ("negligible", ("differs negligibly", "differ negligibly")),
            ("undecided", ("is undecided", "are undecided")),
            ("units", ("favours units", "favour units")),
            ("random", ("favours random directions", "favour random directions")),
        )
        if groups[kind]
    ]
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def shade_negligible(axis: Any) -> None:
    """Shade the range of δ that is negligible by convention."""
    axis.axvspan(-NEGLIGIBLE, NEGLIGIBLE, color=SERIES[7], alpha=0.18, linewidth=0)
