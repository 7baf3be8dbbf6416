"""Table 5 and the layers' gains, on layers so small that every number is known or quickly had."""

import json
import math
import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from tutorial_pkg import paper
from tutorial_pkg.data import Dataset
from tutorial_pkg.experiments import Context, layer_gains, run_cell, table5
from tutorial_pkg.experiments.spectral_checks import circular_matrix, printed_norm
from tutorial_pkg.figures import Renderer
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.spectral import conv_frame_bounds, linear_frame_bounds
from tutorial_pkg.spectral.alexnet import ALEXNET, LayerShape
from tutorial_pkg.training import TrainingResult

SMALL = (
    LayerShape("conv1", (4, 1, 5, 5), stride=2, groups=2, grid=4),
    LayerShape("fc1", (3, 5)),
)


def test_the_shapes_are_alexnets():
    assert [layer.name for layer in ALEXNET] == list(paper.TABLE5)
    weights = sum(math.prod(layer.weight_shape) for layer in ALEXNET)
    assert weights == 60_954_656  # "60 million parameters", biases left out


def test_ratios_have_as_many_digits_as_the_papers_bounds():
    assert table5.ratio(5e-5, 7.3) == "150,000"
    assert table5.ratio(0.25, 4.0) == "16"
    assert table5.ratio(0.3, 1.0) == "3.3"
    assert table5.ratio(0.0, 1.0) == "–"


def test_table5_has_a_row_a_layer_and_the_papers_numbers(monkeypatch, tmp_path):
    monkeypatch.setattr(table5, "ALEXNET", SMALL)
    config = replace(table5.CONFIGS["laptop"], num_seeds=2)
    records = [
        run_cell(table5.EXPERIMENT, "laptop", name, cell, Context()) for name, cell in table5.cells(config).items()
    ]
    conv = records[1].values["conv1"]
    expected = conv_frame_bounds(SMALL[0].random_weight(seed=100), stride=2, groups=2, grid=4, refine=True)
    assert (conv["lower"], conv["upper"]) == (expected.lower, expected.upper)
    assert conv["infimum"] <= conv["lower"] <= conv["upper"] <= conv["supremum"] <= conv["certificate"]
    fully_connected = records[0].values["fc1"]
    assert fully_connected["upper"] == linear_frame_bounds(SMALL[1].random_weight(seed=1)).upper
    assert fully_connected["strict_lower"] == 0

    output = Renderer(tmp_path, "table5", records)
    table5.render(records, output)
    table = (tmp_path / "table5" / "table5.md").read_text()
    assert "| conv1 | 4×1×5×5<br><small>grid 4×4</small> | 0.1 |" in table
    assert "| fc1 | 3×5 | 0.09 |" in table
    assert "| 20 |" in table
    assert "| 200 |" in table, "the ratio of the paper's bounds"
    beyond = (tmp_path / "table5" / "table5-continuous.md").read_text()
    assert f"| {output.values['table5.conv1.infimum']} |" in beyond
    assert re.search(r"\| fc1 \| \S+ \| – \| 0 \| \S+ \| – \|", beyond)
    assert "no data" in beyond
    assert output.values["table5.fc1.strict_lower"] == "0"
    assert output.values["table5.conv1.paper_upper"] == output.values["table5.conv1.paper_upper_at_most"] == "20"
    assert "no data" in table


@pytest.mark.parametrize("stride", [2, 4])
def test_a_norm_is_at_most_its_printed_formula_times_two_over_the_stride(stride):
    """What the page says of conv1: four of the printed sets hold every frequency that the stride mixes."""
    generator = torch.Generator().manual_seed(0)
    taps = torch.arange(5, dtype=torch.float64)
    for _ in range(5):
        noise = torch.randn(2, 2, 5, 5, generator=generator, dtype=torch.float64)
        omega = 2 * math.pi * torch.rand(2, generator=generator, dtype=torch.float64)
        wave = torch.cos(omega[0] * taps[:, None] + omega[1] * taps).expand(2, 2, 5, 5)
        for weight in (noise, wave):
            norm = float(torch.linalg.matrix_norm(circular_matrix(weight, stride, maps=4), 2))
            # On a grid that holds every frequency of maps of 4·Δ pixels.
            assert norm <= 2 / stride * printed_norm(weight, stride, maps=4 * stride) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (3e-14, "0"),
        (5e-5, "5.00·10<sup>−5</sup>"),
        (0.48, "0.480"),
        (1.6, "1.60"),
        (20.0, "20.0"),
        (123.4, "123"),
    ],
)
def test_our_bounds_have_three_digits(value, text):
    assert table5.three_digits(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.1, "0.1"), (20.0, "20"), (3.12, "3.12"), (5e-5, "5·10<sup>−5</sup>")])
def test_the_papers_bounds_have_the_digits_that_it_prints(value, text):
    assert table5.as_printed(value) == text


@pytest.mark.parametrize(("upper", "text"), [(5.02, "5.0"), (9.96, "10"), (10.4, "10"), (7234.0, "7,200")])
def test_ratios_of_bounds_have_two_digits(upper, text):
    assert table5.ratio(1.0, upper) == text


class OneLinearModel(Context):
    """Hands out the identity on two pixels in place of training."""

    def __init__(self) -> None:
        super().__init__()
        inputs = torch.tensor([[0.9, 0.1], [0.2, 0.7], [0.8, 0.3]]).reshape(3, 1, 1, 2)
        labels = torch.tensor([0, 1, 0])
        self._datasets["pair"] = Dataset("pair", inputs, labels, inputs, labels, num_classes=2)

    def trained(self, recipe: object, dataset: Dataset, seed: int, trainer: object = None) -> tuple:
        linear = nn.Linear(2, 2, bias=False)
        linear.weight.data = torch.eye(2)
        return LayeredModel(
            {"same": nn.Sequential(nn.Flatten(), linear), "logits": nn.Identity()}
        ).eval(), TrainingResult(0.0, 0, 0, True, "")


def test_of_the_identity_every_gain_and_bound_is_one(tmp_path):
    config = replace(layer_gains.CONFIGS["quick"], dataset="pair")
    records = [
        run_cell(layer_gains.EXPERIMENT, "quick", name, cell, OneLinearModel())
        for name, cell in layer_gains.cells(config).items()
    ]
    for record in records:
        for layer in record.values["layers"]:
            for key in ("layer_bound", "bound", "largest", "mean", "noise_largest", "noise_mean"):
                assert layer[key] == pytest.approx(1, abs=1e-4)
        # Between two classes the bound is tight: the safe radius is the distance to the boundary.
        assert record.values["times_safe_radius_median"] == pytest.approx(1, abs=1e-2)

    output = Renderer(tmp_path, "layer_gains", records)
    layer_gains.render(records, output)
    assert "| Conv: same | 1.00 | 1.00 |" in (tmp_path / "layer_gains" / "gains.md").read_text()
    assert "<svg" in (tmp_path / "layer_gains" / "gains-figure.md").read_text()
    assert output.values["layer_gains.N100-100-10.logits.times_loose"] == "1.0"
    assert json.dumps(output.values)
