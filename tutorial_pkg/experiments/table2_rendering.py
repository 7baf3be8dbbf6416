"""The tables, figure and numbers of the experiment `table2`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np

from tutorial_pkg import paper
from tutorial_pkg.experiments.transfer_cells import (
    cells_figure,
    error_cell,
    interval,
    mean_rate,
    outside_paper,
    points,
    rates,
)
from tutorial_pkg.figures import Renderer, mean_sd, percent
from tutorial_pkg.records import Record

MODELS = tuple(paper.TABLE1)
NOISE = "{} noise"
"""The row of noise whose norms are those of a model's examples."""

SIGNIFICANCE = 0.05 / (len(MODELS) * (len(MODELS) - 1))
"""5 % over the 30 ordered pairs together (Bonferroni)."""


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write the table beside the paper's, a figure of it, and the table of what noise leaves to explain."""
    rows = {row: f"for {row}" if row in MODELS else row.replace("gaussian-", "Gaussian, ") for row in paper.TABLE2}
    _write_table2(records, rows, output)
    output.figure(
        "cells",
        cells_figure(records, rows, MODELS, paper.TABLE2),
        caption="**Table 2 with its uncertainty.** Bars: 95 % binomial intervals; the paper's for 256 images.",
        alt="For each model, its error on each set of distorted images, ours beside the paper's",
    )
    _write_over_noise(records, rows, output)
    _offer_values(records, output)


def _write_table2(records: Sequence[Record], rows: Mapping[str, str], output: Renderer) -> None:
    distortion = {name: mean_sd([record.values["distortion"][name]["rms"] for record in records], 3) for name in MODELS}
    printed = {name: values[2] for name, values in paper.TABLE1.items()}
    output.table(
        "table2",
        ["distorted", *MODELS],
        [
            [
                f"{label}<br><small>{distortion[row]} ({printed[row]:g})</small>" if row in MODELS else label,
                *(
                    error_cell(mean_rate(records, row, column), f"{paper.TABLE2[row][j]:g}", own=row == column)
                    for j, column in enumerate(MODELS)
                ),
            ]
            for row, label in rows.items()
        ],
        caption="**Table 2.** Error, in %, of the column's model on training images distorted for the row's: ours (the "
        f"paper's), over all {records[0].values['num_images']:,} images; the stronger the colour, the more. Below the "
        "row's name: the distortion of our minimum, root mean square over these images (the paper's, which its method "
        "found: compare it with *penalty, rms* in Table 1). Table 1's *minimum, rms* is another number: it leaves out "
        "the images that the model had wrong.",
    )


def _write_over_noise(records: Sequence[Record], rows: Mapping[str, str], output: Renderer) -> None:
    output.table(
        "over-noise",
        ["distorted", *MODELS],
        [
            [
                rows[row],
                *(
                    error_cell(
                        mean_rate(records, row, column, "correct"),
                        f"{100 * mean_rate(records, NOISE.format(row), column, 'correct'):.1f}",
                        own=row == column,
                    )
                    for column in MODELS
                ),
            ]
            for row in MODELS
        ],
        caption="**What noise does not explain.** Error, in %, over the images that the column's model had right: "
        "adversarial examples (noise of the same norms).",
    )


def _offer_values(records: Sequence[Record], output: Renderer) -> None:
    pairs = list(permutations(MODELS, 2))
    output.value("num_images", f"{records[0].values['num_images']:,}")
    output.value("num_pairs", str(len(pairs)))
    for reading, control, field in (
        ("same_norm_noise", NOISE, "p_over_same_norm_noise"),
        ("gaussian", "gaussian-0.1", "p_over_gaussian-0.1"),
    ):
        errors = [mean_rate(records, control.format(source), target, "correct") for source, target in pairs]
        output.value(f"mean.{reading}", percent(float(np.mean(errors)), 1))
        harmful = sum(
            all(record.values[field][source][target] < SIGNIFICANCE for record in records) for source, target in pairs
        )
        output.value(f"pairs_over.{reading}", str(harmful))
    output.value(
        "mean.adversarial",
        percent(float(np.mean([mean_rate(records, *pair, "correct") for pair in pairs])), 1),
    )
    own_noise = [rate for name in MODELS for rate in rates(records, NOISE.format(name), name, "correct")]
    output.value("own_noise", percent(max(rate.fraction for rate in own_noise), 1))
    output.value("own_noise_limit", percent(max(rate.interval()[1] for rate in own_noise), 1))
    for target in MODELS:
        others = [mean_rate(records, source, target, "correct") for source in MODELS if source != target]
        output.value(f"{target}.mean_error", percent(float(np.mean(others)), 1))
    widest = max(np.ptp(interval(records, *pair)) for pair in pairs) / 2
    output.value("widest_interval", f"± {100 * widest:.1f}")
    outside = outside_paper(records, MODELS, MODELS, paper.TABLE2)
    apart = {pair: side for pair, side in outside.items() if pair in pairs}
    output.value("outside.count", str(len(apart)))
    output.value("num_others", str(len(MODELS) - 1))
    for source in MODELS:
        sides = [side for (row, _), side in apart.items() if row == source]
        for side in ("lower", "higher"):
            output.value(f"outside.{source}.{side}", str(sides.count(side)))
    for other in records[0].values["autoencoder_minus"]:
        found = [record.values["autoencoder_minus"][other] for record in records]
        output.value(f"autoencoder_minus.{other}", "; ".join(map(points, found)))
