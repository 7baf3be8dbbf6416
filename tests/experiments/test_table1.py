"""Table 1 and Figure 7: what a record says is what a stranger would measure."""

import re

import numpy as np
import pytest
import torch

from tests.shared import make_record
from tutorial_pkg import paper
from tutorial_pkg.experiments import figure7, table1, table1_rendering
from tutorial_pkg.experiments.targets import random_other_classes
from tutorial_pkg.figures import Renderer
from tutorial_pkg.training import TABLE1_RECIPES, train


@pytest.fixture(scope="module")
def cell():
    config = table1.Config(dataset="digits", num_attacked=40, max_iter=30, seed=3)
    return table1.cells(config)["softmax2-seed3"]


@pytest.fixture(scope="module")
def result(cell, context):
    return table1.run(cell, context)


def test_errors_are_those_of_the_trained_model(cell, context, result):
    data = context.dataset("digits")
    model, _ = context.trained(cell.recipe, data, 3, train)
    with torch.no_grad():
        wrong = model(data.test_inputs).argmax(1) != data.test_labels
    assert result.values["test_error"] == pytest.approx(float(wrong.double().mean()))


def test_readings_are_consistent(result):
    values, rms = result.values, result.arrays["targeted_rms"]
    assert values["num_attacked"] == len(rms) <= 40
    assert values["success_targeted"] == values["success_nearest"] == 1
    assert values["distortion_random_target_mean"] == pytest.approx(rms.mean(), rel=1e-5)
    assert values["distortion_random_target_rms"] == pytest.approx(np.sqrt((rms.astype(float) ** 2).mean()), rel=1e-5)
    # A nearest class is never farther than a random one, nor a minimum farther than another method's.
    assert (result.arrays["nearest_rms"] <= rms * 1.001).all()
    assert values["distortion_random_target_mean"] <= values["distortion_penalty_mean"] * 1.001


def test_the_same_cell_gives_the_same_numbers(cell, context, result):
    again = table1.run(cell, context)
    assert again.values == result.values


def test_cells_cover_models_and_seeds():
    cells = table1.cells(table1.Config(num_seeds=2, seed=5))
    assert len(cells) == 12
    assert cells["AE400-10-seed6"].seed == 6


def test_targets_are_other_classes_and_evenly_drawn():
    labels = torch.arange(9000) % 10
    targets = random_other_classes(labels, 10, torch.Generator().manual_seed(0))
    assert (targets != labels).all()
    counts = torch.bincount((targets - labels) % 10, minlength=10)[1:]
    assert counts.min() > 900


def test_figure7_pairs_differ_by_little_and_change_the_class(context):
    config = figure7.Config(dataset="digits", num_images=20, max_iter=30)
    result = figure7.run(figure7.cells(config)["softmax1-seed0"], context)
    assert result.values["success"] == 1
    assert result.values["accuracy_adversarial"] == 0
    change = result.arrays["adversarial"].astype(float) - result.arrays["clean"]
    assert 0 < np.abs(change).mean() < 0.2 * 255
    assert (result.arrays["labels"] != result.arrays["targets"]).all()


def test_what_the_penalty_leaves_over_is_of_the_means_by_seed():
    found = [("a", 1.1, 1.0), ("b", 3.0, 1.0), ("a", 0.5, 0.4)]
    records = [
        make_record(
            config={"name": name}, values={"distortion_penalty_mean": far, "distortion_random_target_mean": near}
        )
        for name, far, near in found
    ]
    assert table1_rendering.penalty_excess(records, "a") == pytest.approx([10, 25])


def test_the_short_table_has_every_model_with_the_papers_numbers(result, cell, tmp_path):
    records = [
        make_record(config={"name": name, "seed": cell.seed}, values=dict(result.values), arrays=dict(result.arrays))
        for name in table1_rendering.KINDS
    ]
    table1_rendering.render(records, Renderer(tmp_path, "table1", records))
    _, _, *rows = (tmp_path / "table1" / "short.md").read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    assert tuple(table1_rendering.KINDS) == tuple(paper.TABLE1) == tuple(TABLE1_RECIPES)
    for row, (name, (_, test, distortion)) in zip(rows, paper.TABLE1.items(), strict=True):
        kind, *numbers = row.strip("|").split("|")
        assert f">{name}, {table1_rendering.KINDS[name][1]}<" in kind
        (ours, printed), (our_error, printed_error) = (map(float, re.findall(r"[\d.]+", cell)) for cell in numbers)
        assert (printed, printed_error) == (distortion, test)
        assert ours == pytest.approx(result.values["distortion_penalty_rms"], abs=0.0005)
        assert our_error == pytest.approx(100 * result.values["test_error"], abs=0.005)
