"""Bounds of layers as applied, against their matrix, written out one basis vector at a time."""

import inspect
import math

import pytest
import torch
from torch import nn

from tests.spectral.dense import extremes
from tutorial_pkg.spectral import conv_frame_bounds, linear_frame_bounds, padded_frame_bounds, zero_padded

LAYERS = [
    (nn.Conv2d(2, 3, 3, padding=1), (2, 6, 5)),
    (nn.Conv2d(3, 2, (3, 5), stride=(2, 1), padding=(0, 2), bias=False), (3, 7, 6)),
    (nn.Conv2d(4, 4, 3, groups=2, dilation=2, padding=2), (4, 6, 6)),
    (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), (2, 5, 5)),
    (nn.Conv1d(2, 5, 4, stride=3), (2, 11)),
    (nn.Linear(7, 4), (7,)),
    (nn.Sequential(nn.Flatten(), nn.Linear(8 * 9 * 2, 5)), (2, 9, 8)),
    (nn.Linear(200, 90), (200,)),
    (nn.Conv2d(2, 16, 1, stride=2), (2, 8, 8)),  # blind to three pixels of four: λ₋ is 0
    (nn.Conv1d(3, 8, 2, stride=3), (3, 30)),
    (nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1), (3, 6, 6)),
    (nn.Conv2d(2, 3, 3, padding=2, padding_mode="replicate"), (2, 7, 7)),
]


untyped_bounds = inspect.unwrap(padded_frame_bounds)  # the tests' checks of types refuse what it is to refuse itself


def seeded(layer: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        parameter.data.normal_(generator=generator)
    return layer


@torch.no_grad()
def matrix(layer, shape):
    layer = layer.double()
    basis = torch.eye(math.prod(shape), dtype=torch.float64).reshape(-1, *shape)
    columns = [(layer(x[None]) - layer(torch.zeros(1, *shape).double())).flatten() for x in basis]
    return torch.stack(columns, dim=1).numpy()


@pytest.mark.parametrize("dense_limit", [0, 1500], ids=["lanczos", "dense"])
@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_agrees_with_the_matrix(layer, shape, dense_limit, monkeypatch):
    monkeypatch.setattr(zero_padded, "_DENSE", dense_limit)
    layer = seeded(layer.float())
    bounds = padded_frame_bounds(layer, shape)
    assert next(layer.parameters()).dtype == torch.float32
    written_out = matrix(layer, shape)
    lower, upper = extremes(written_out)
    assert (bounds.rows, bounds.cols) == written_out.shape
    assert bounds.upper == pytest.approx(upper, rel=1e-10)
    assert bounds.lower == pytest.approx(lower, abs=1e-7 * upper)


@pytest.mark.parametrize("seed", range(6))
def test_zero_padding_stays_below_the_continuous_supremum(seed):
    torch.manual_seed(seed)
    layer = nn.Conv2d(2, 3, 3 + seed % 3, stride=1 + seed % 2, padding=seed % 3)
    padded = padded_frame_bounds(layer, (2, 9, 10))
    circular = conv_frame_bounds(layer.weight, stride=layer.stride, grid=12)
    assert padded.upper <= circular.certificate * (1 + 1e-12)


def test_circular_padding_gives_the_grid_bounds():
    layer = seeded(nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"))
    expected = conv_frame_bounds(layer.weight, grid=6)
    bounds = padded_frame_bounds(layer, (2, 6, 6))
    assert (bounds.lower, bounds.upper) == pytest.approx((expected.lower, expected.upper), rel=1e-9)


def test_few_outputs_of_a_large_input_are_written_out_by_rows_some_at_a_time():
    batches = []
    linear = nn.Linear(30_000, 70)
    layer = nn.Sequential(nn.Flatten(), linear)
    layer.register_forward_pre_hook(lambda module, args: batches.append(len(args[0])))
    bounds = padded_frame_bounds(layer, (3, 100, 100))
    expected = linear_frame_bounds(linear.weight)
    assert (bounds.lower, bounds.upper) == pytest.approx((expected.lower, expected.upper), rel=1e-10)
    assert (bounds.rows, bounds.cols) == (70, 30_000)
    assert max(batches) <= 64


@pytest.mark.parametrize("dense_limit", [0, 1500], ids=["lanczos", "dense"])
def test_one_size_certifies_no_other(dense_limit, monkeypatch):
    monkeypatch.setattr(zero_padded, "_DENSE", dense_limit)
    average = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    nn.init.constant_(average.weight, 1 / 9)
    small, large = (padded_frame_bounds(average, (1, size, size)) for size in (8, 16))
    assert small.upper < large.upper <= small.certificate == large.certificate == math.inf


@pytest.mark.parametrize("scale", [1e-12, 1e-9, 1e9])
@pytest.mark.parametrize("bias", [False, True])
def test_a_layer_is_affine_or_not_at_any_scale(scale, bias):
    linear = seeded(nn.Linear(6, 6, bias=bias))
    linear.weight.data *= scale
    expected = linear_frame_bounds(linear.weight)
    bounds = padded_frame_bounds(linear, (6,))
    assert (bounds.lower, bounds.upper) == pytest.approx((expected.lower, expected.upper), rel=1e-3)
    with pytest.raises(ValueError, match="expected an affine module, but Sequential is not one"):
        padded_frame_bounds(nn.Sequential(linear, nn.ReLU()), (6,))


def test_layers_without_a_linear_part_are_affine():
    for bias in (False, True):
        linear = nn.Linear(3, 3, bias=bias)
        nn.init.zeros_(linear.weight)
        assert padded_frame_bounds(linear, (3,)).upper == 0


def test_a_bound_that_lanczos_does_not_settle_is_nan(monkeypatch):
    monkeypatch.setattr(zero_padded, "_DENSE", 0)
    torch.manual_seed(0)
    bounds = padded_frame_bounds(nn.Conv2d(3, 3, 3, padding=1), (3, 24, 24), max_iter=1)
    assert math.isnan(bounds.lower)


@pytest.mark.parametrize("scale", [1e-170, 1e-12, 1e160])
def test_lanczos_at_any_scale(scale, monkeypatch):
    monkeypatch.setattr(zero_padded, "_DENSE", 0)
    layer = seeded(nn.Conv2d(2, 3, 3, padding=1, bias=False)).double()
    expected = padded_frame_bounds(layer, (2, 8, 8))
    layer.weight.data *= scale
    bounds = padded_frame_bounds(layer, (2, 8, 8))
    assert bounds.upper == pytest.approx(scale * expected.upper, rel=1e-10, abs=0)
    assert bounds.lower == pytest.approx(scale * expected.lower, abs=1e-7 * bounds.upper)


def test_bad_input_says_what_to_do():
    with pytest.raises(ValueError, match=r"takes no input of shape .* without the batch dimension"):
        padded_frame_bounds(nn.Conv2d(3, 4, 3), (5, 8, 8))
    with pytest.raises(ValueError, match="expected an affine module, but Sequential is not one"):
        padded_frame_bounds(nn.Sequential(nn.Linear(4, 4), nn.ReLU()), (4,))
    with pytest.raises(ValueError, match="input_shape: expected integers of at least 1"):
        padded_frame_bounds(nn.Conv2d(3, 4, 3), (3, 0, 8))
    for shape in (3, None):
        with pytest.raises(ValueError, match="input_shape: expected a tuple such as"):
            untyped_bounds(nn.Linear(3, 2), shape)
    with pytest.raises(ValueError, match="expected one tensor from LSTM, got tuple"):
        padded_frame_bounds(nn.LSTM(3, 3), (2, 3))
    broken = nn.Linear(3, 2)
    broken.bias.data[0] = math.nan
    with pytest.raises(ValueError, match="expected finite numbers, got NaN or infinity"):
        padded_frame_bounds(broken, (3,))


def test_a_layer_of_zeros_too_large_to_be_written_out():
    layer = nn.Conv2d(3, 8, 3, padding=1)
    nn.init.zeros_(layer.weight)
    bounds = padded_frame_bounds(layer, (3, 28, 28))
    assert (bounds.lower, bounds.upper) == (0.0, 0.0)


@pytest.mark.parametrize("dense_limit", [0, 1500], ids=["lanczos", "dense"])
@pytest.mark.parametrize("layer", [nn.Conv1d(2, 5, 3), nn.Conv1d(2, 1, 3)], ids=str)
def test_inference_mode(layer, dense_limit, monkeypatch):
    monkeypatch.setattr(zero_padded, "_DENSE", dense_limit)
    with torch.inference_mode():
        there = padded_frame_bounds(layer, (2, 80))
    assert there == padded_frame_bounds(layer, (2, 80))


def test_dropout_is_read_as_at_test_time_and_left_in_training():
    layer = nn.Sequential(seeded(nn.Linear(6, 4)), nn.Dropout(0.5)).train()
    assert padded_frame_bounds(layer, (6,)) == padded_frame_bounds(layer[0], (6,))
    assert all(module.training for module in layer)
