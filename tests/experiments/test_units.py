"""The experiments on §3, small, and what they show."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tutorial_pkg.experiments import figures1_2, run_cell, units
from tutorial_pkg.experiments.units_rendering import KINDS, LAYERS, NAMES
from tutorial_pkg.records import read_record
from tutorial_pkg.units import OF_DIRECTIONS, STATISTICS


def test_figures_1_and_2_show_rows_of_test_digits(small_records, digits, rendered):
    (record,) = small_records(figures1_2.EXPERIMENT, epochs=2)
    pixels = {image.tobytes() for image in (digits.test_inputs[:, 0] * 255).round().to(torch.uint8).numpy()}
    for kind, rows in (("units", 4), ("uniform", 4), ("chance", 4), ("quiz", 8)):
        shown = record.arrays[kind]
        assert shown.shape == (rows, 10, 28, 28)
        assert {image.tobytes() for row in shown for image in row} <= pixels
    assert sum(record.values["quiz_is_unit"]) == 4
    assert np.mean(record.values["purity"]["units"]) > np.mean(record.values["purity"]["chance"])
    output = rendered(figures1_2.EXPERIMENT, [record])
    assert {path.name for path in output.written} == {"figure1.md", "figure2.md", "chance.md", "quiz.md"}
    assert len(output.values["figures1_2.quiz.answer"].split(", ")) == 4


def test_units_records_every_statistic_of_every_layer(small_records, rendered, generated):
    records = small_records(units.EXPERIMENT, epochs=2, num_directions=16, ks=(4, 8), num_resamples=99, num_seeds=2)
    assert [record.config["seed"] for record in records] == [0, 1]
    of_sets = set(STATISTICS) - set(OF_DIRECTIONS)
    for record in records:
        assert set(record.values["layers"]) == set(LAYERS)
        for name, layer in record.values["layers"].items():
            assert set(layer["by_k"]) == ({"4", "8"} if name == "hidden" else {"4"})
            effects = layer["by_k"]["4"]["comparisons"]["units-uniform"]
            assert set(effects) == set(STATISTICS)
            assert all(-1 <= e["low"] <= e["high"] <= 1 and 0 < e["p_value"] <= 1 for e in effects.values())
        hidden = record.values["layers"]["hidden"]["by_k"]
        assert set(hidden["4"]["comparisons"]) == {f"{a}-{b}" for a, b in units.HIDDEN_PAIRS}
        assert set(hidden["4"]["comparisons"]["units-matched"]) == of_sets
        assert hidden["4"]["comparisons"]["units-matched"]["purity"]["delta"] == 0
        assert set(hidden["8"]["comparisons"]["units-uniform"]) == of_sets
        assert hidden["4"]["means"]["units"]["purity"] > hidden["4"]["means"]["chance"]["purity"]
        assert record.arrays["units"].shape == (len(STATISTICS), hidden["4"]["num_units"])
        # Units that are classes: on for one class, which the statistic must see.
        made = record.values["layers"]["onehot"]["by_k"]["4"]
        assert made["means"]["units"]["purity"] == 1
        assert made["comparisons"]["units-uniform"]["class_share"]["low"] > 0.5
    output = rendered(units.EXPERIMENT, records)
    names = {"distributions", "effects", "statistics", "layers", "sizes", "readout"}
    assert {path.stem for path in output.written} == names
    table = (generated / "units" / "statistics.md").read_text(encoding="utf-8")
    assert all(f"| {name} |" in table for name in NAMES.values())
    assert all(name in table.splitlines()[0] for name in KINDS.values())


def test_the_same_cell_gives_the_same_record(context):
    config = replace(units.CONFIGS["quick"], epochs=2, num_directions=8, num_resamples=19)
    ((name, cell),) = units.cells(config).items()
    first, second = (run_cell(units.EXPERIMENT, "quick", name, cell, context) for _ in range(2))
    assert first.values == second.values
    assert all(np.array_equal(first.arrays[kind], second.arrays[kind]) for kind in first.arrays)


def test_conv_is_as_good_on_mnist_as_the_paper_says(repository):
    paths = sorted((repository / "results" / "laptop" / "units").glob("*.json"))
    if not paths:
        pytest.skip("no laptop records")
    assert all(read_record(path).values["test_error"] <= 0.01 for path in paths)
