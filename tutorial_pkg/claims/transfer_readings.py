"""What the records of Tables 2 to 4 say of pairs of models, for the claims on transfer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from tutorial_pkg import paper
from tutorial_pkg.claims.base import CONFIDENCE
from tutorial_pkg.experiments.transfer_cells import mean_rate, rates
from tutorial_pkg.records import Record


def models_of(records: Sequence[Record]) -> list[str]:
    """Return the names of the models."""
    return list(records[0].values["num_correct"])


def rates_of_pairs(records: Sequence[Record], rows: Sequence[str], columns: Sequence[str]) -> list[float]:
    """Return error rates over the images right before, for all pairs of a row and another model's column."""
    pairs = ((row, column) for row in rows for column in columns if row.split(" ")[0] != column)
    return [rate.fraction for pair in pairs for rate in rates(records, *pair, "correct")]


def off_diagonal(records: Sequence[Record], field: str) -> list[float]:
    """Return a field's entries for every ordered pair of different models, of every record."""
    return [
        value
        for record in records
        for row, columns in record.values[field].items()
        for column, value in columns.items()
        if row != column
    ]


def significant_share(p_values: Sequence[float]) -> float:
    """Return the share of tests that reject, at a level divided by their number (Bonferroni)."""
    return float(np.mean([p < (1 - CONFIDENCE) / len(p_values) for p in p_values]))


def pairs_across_sets(records: Sequence[Record]) -> list[tuple[Record, str, str]]:
    """Return, for every record, the ordered pairs of models that were trained on different images."""
    pairs = [pair for pair in permutations(models_of(records), 2) if "M2" in pair]
    return [(record, row, column) for record in records for row, column in pairs]


def lost_across_sets(records: Sequence[Record], kind: str = "") -> tuple[float, float, float]:
    """Return the mean error within a training set and across, between networks of one architecture, and the loss."""
    recipes = records[0].config["recipes"]
    alike = [name for name in recipes if recipes[name]["model"] == recipes["M1"]["model"]]
    errors: dict[bool, list[float]] = {True: [], False: []}
    for row, column in permutations(alike, 2):
        errors["M2" in (row, column)].append(mean_rate(records, row + kind, column, "correct"))
    within, across = float(np.mean(errors[False])), float(np.mean(errors[True]))
    return within, across, 1 - across / within


def published_table4() -> dict[str, list[float]]:
    """Return the paper's Table 4 in %: errors of other models of the same training set, and across training sets."""
    groups: dict[str, list[float]] = {"within": [], "across": []}
    for (row, _), (column, j) in permutations([("M1", 0), ("M1'", 1), ("M2", 2)], 2):
        groups["across" if "M2" in (row, column) else "within"].append(paper.TABLE4[row][j])
    return groups
