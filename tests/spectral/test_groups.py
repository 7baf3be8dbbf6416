"""What is read of a grouped layer is one of its blocks, and AlexNet's are read on the maps that they have."""

import pytest
import torch

from tutorial_pkg.models import build_model
from tutorial_pkg.spectral import conv_frame_bounds
from tutorial_pkg.spectral.alexnet import ALEXNET


def test_rows_and_columns_are_those_of_a_group():
    weight = torch.randn(8, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    square = conv_frame_bounds(weight, groups=4, grid=4)
    assert (square.rows, square.cols, square.strict_lower) == (2, 2, square.lower)
    wide = conv_frame_bounds(weight, groups=4, stride=2, grid=4)
    assert (wide.rows, wide.cols, wide.strict_lower) == (2, 8, 0.0)


def test_table_5_reads_each_convolution_on_its_own_map():
    """The network's first map has 55 pixels a side; a circular one of stride 4 on 224 pixels has 56."""
    with torch.device("meta"):
        model = build_model("alexnet")
        x = torch.empty(1, 3, 224, 224)
    sides = {name: model.features(x, name).shape[-1] for name in ("conv2", "conv3", "conv4", "conv5")}
    assert {layer.name: layer.grid for layer in ALEXNET if layer.grid} == {"conv1": 56} | sides


def test_random_weights_are_those_that_training_starts_from():
    """Krizhevsky, Sutskever and Hinton: "a zero-mean Gaussian distribution with standard deviation 0.01"."""
    layer = ALEXNET[2]
    weight = layer.random_weight(seed=0)
    assert tuple(weight.shape) == layer.weight_shape
    assert weight.mean().item() == pytest.approx(0, abs=1e-4)
    assert weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert torch.equal(weight, layer.random_weight(seed=0))
    assert not torch.equal(weight, layer.random_weight(seed=1))
