"""The tables, figure and numbers of the experiment `tables3_4`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np

from tutorial_pkg import paper
from tutorial_pkg.experiments.transfer_cells import (
    READINGS,
    cells_figure,
    error_cell,
    mean_rate,
    outside_paper,
    points,
)
from tutorial_pkg.figures import Renderer, beside, mean_sd, percent
from tutorial_pkg.records import Record

# As in `tables3_4`, which imports this module; a test keeps them in step.
MODELS = tuple(paper.TABLE3)
RESTART = "M1-restart"
TRAINED_ON = {"M1": "P1", "M1'": "P1", RESTART: "P1", "M2": "P2"}
AMPLIFIED_STDDEV = 0.1


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write both tables beside the paper's, a figure of Table 4, and the numbers that the prose quotes."""
    _write_table3(records, output)
    rows = {name: f"for {name}" for name in MODELS} | {"gaussian-0.06": "Gaussian, 0.06"}
    rows |= {f"{name} amplified": f"for {name}, to 0.1" for name in MODELS} | {"gaussian-0.1": "Gaussian, 0.1"}
    _write_table4(records, rows, output)
    output.figure(
        "cells",
        cells_figure(records, rows, MODELS, paper.TABLE4),
        caption="**Table 4 with its uncertainty.** Bars: 95 % binomial intervals, ours the hull over the splits; the "
        "paper's for 256 images.",
        alt="For M1, M1' and M2, the error on each set of distorted test images, ours beside the paper's",
    )
    _offer_values(records, output)


def _write_table3(records: Sequence[Record], output: Renderer) -> None:
    models = [name for name in (*MODELS, RESTART) if name in records[0].config["recipes"]]
    table3 = []
    for name in models:
        printed = paper.TABLE3.get(name)
        ours = [
            *(mean_sd([r.values["error"][name][part] for r in records], 2, 100) for part in ("P1", "P2", "test")),
            mean_sd([r.values["distortion"][name] for r in records], 4),
        ]
        table3.append(
            [
                f"{name} ({records[0].config['recipes'][name]['model']}, {TRAINED_ON[name]})",
                *(beside(text, f"{printed[j]:g}", below=True) if printed else text for j, text in enumerate(ours)),
            ]
        )
    splits = f"mean{' ± standard deviation' * (len(records) > 1)} over {len(records)} splits"
    output.table(
        "table3",
        ["model", "error on P1", "error on P2", "error on test", "mean distortion"],
        table3,
        caption=f"**Table 3.** Errors in % on undistorted images, and mean distortion of test images: ours, {splits} "
        "(the paper's).",
    )


def _write_table4(records: Sequence[Record], rows: Mapping[str, str], output: Renderer) -> None:
    output.table(
        "table4",
        ["distorted", *MODELS],
        [
            [
                label,
                *(
                    error_cell(
                        mean_rate(records, row, column),
                        f"{paper.TABLE4[row][j]:g}",
                        own=row.removesuffix(" amplified") == column,
                        below=False,
                    )
                    for j, column in enumerate(MODELS)
                ),
            ]
            for row, label in rows.items()
        ],
        caption="**Table 4.** Error, in %, of the column's model on test images distorted for the row's: ours (the "
        f"paper's), over {records[0].values['num_images']:,} images and {len(records)} splits; the stronger the "
        "colour, the more.",
    )


def _offer_values(records: Sequence[Record], output: Renderer) -> None:
    output.value("num_images", f"{records[0].values['num_images']:,}")
    output.value("num_splits", str(len(records)))
    across = [(a, b) for a, b in permutations(MODELS, 2) if TRAINED_ON[a] != TRAINED_ON[b]]
    # Within and across training sets between networks of equal architectures, as in `same_minus_other`.
    alike = ("M1", RESTART, "M2") if RESTART in records[0].config["recipes"] else MODELS
    groups = {"across": across, "same_set": [], "other_set": []}
    for a, b in permutations(alike, 2):
        groups["same_set" if TRAINED_ON[a] == TRAINED_ON[b] else "other_set"].append((a, b))
    for group, pairs in groups.items():
        for kind in ("", " amplified", " amplified, clipped", " noise"):
            key = kind.strip().replace(", ", "_") or "minimum"
            for reading in READINGS:
                errors = [mean_rate(records, source + kind, target, reading) for source, target in pairs]
                output.value(f"{group}.{key}.{reading}", percent(float(np.mean(errors)), 1))
    output.value("num_cells", str(len(paper.TABLE4) * len(MODELS)))
    output.value("outside.count", str(len(outside_paper(records, list(paper.TABLE4), MODELS, paper.TABLE4))))
    from_p1 = [(a, b) for a in ("M1", "M1'") for b in MODELS if a != b]
    for row, column in [*from_p1, ("M1' amplified", "M2"), ("M2 amplified", "M1")]:
        key = f"{column}_on_{row}".replace("'", "prime").replace(" ", "_")
        output.value(key, percent(mean_rate(records, row, column), 1))
        output.value(f"{key}.paper", f"{paper.TABLE4[row][MODELS.index(column)]:g} %")
    for key, row in (("6", "gaussian-0.06"), ("10", "gaussian-0.1")):
        errors = [mean_rate(records, row, column) for column in MODELS]
        output.value(f"gaussian.{key}", percent(float(np.mean(errors)), 1))
    for kind in ("minimum", "amplified"):
        found = [record.values["same_set_minus_other_set"][kind] for record in records]
        output.value(f"same_minus_other.{kind}", "; ".join(map(points, found)))
    growth = [AMPLIFIED_STDDEV / record.values["distortion"][name] for record in records for name in MODELS]
    output.value("growth", percent(float(np.mean(growth)) - 1, 0))
    shrunk = [record.values["shrunk_by_amplification"][name] for record in records for name in MODELS]
    output.value("shrunk", percent(float(np.mean(shrunk)), 1))
