"""Bounds of whole networks: found in order, read from the modules, never below an observed gain."""

import inspect
import math

import pytest
import torch
from torch import nn

from tutorial_pkg.models import LayeredModel, build_model
from tutorial_pkg.spectral import (
    conv_frame_bounds,
    layer_gains,
    linear_frame_bounds,
    lipschitz_bound,
    model_frame_bounds,
    padded_frame_bounds,
)


def small_network() -> LayeredModel:
    torch.manual_seed(0)
    return LayeredModel(
        {
            "conv": nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, groups=2, padding=1), nn.BatchNorm2d(6), nn.ReLU()),
            "signal": nn.Sequential(nn.Flatten(2), nn.Conv1d(6, 2, 5, dilation=2)),
            "logits": nn.Sequential(nn.Flatten(), nn.Linear(2 * 28, 3)),
        }
    )


def test_every_layer_is_found_in_order_and_read_with_its_geometry():
    model = small_network()
    conv, signal, linear = model.layers["conv"][0], model.layers["signal"][1], model.layers["logits"][1]
    rows = model_frame_bounds(model, grid=5)
    assert [row.name for row in rows] == ["layers.conv.0", "layers.signal.1", "layers.logits.1"]
    assert rows[0].bounds == conv_frame_bounds(conv.weight, stride=2, groups=2, grid=5)
    assert rows[1].bounds == conv_frame_bounds(signal.weight, dilation=2, grid=5)
    assert rows[2].bounds == linear_frame_bounds(linear.weight)
    assert (rows[2].lower, rows[2].upper) == (rows[2].bounds.lower, rows[2].bounds.upper)
    assert rows[2].weight_shape == (3, 56)


def test_with_inputs_each_convolution_is_read_on_its_own_map():
    model = small_network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rows = model_frame_bounds(model, torch.randn(2, 4, 12, 12))
    assert [row.bounds.grid for row in rows] == [(6, 6), (28,), ()]
    assert model.training
    assert all(module.training and not module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_transposed_convolution_is_the_adjoint_of_a_convolution():
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2)  # windows that do not meet: padding plays no part
    model = nn.Sequential(nn.ReLU(), layer)
    (row,) = model_frame_bounds(model, torch.randn(1, 4, 5, 3))
    expected = padded_frame_bounds(layer, (4, 5, 3))
    assert (row.lower, row.upper) == pytest.approx((expected.lower, expected.upper), rel=1e-7)
    assert row.bounds.grid == (5, 3)
    assert (row.bounds.rows, row.bounds.cols) == (12, 2)


def test_a_convolution_that_the_inputs_do_not_reach_is_read_on_the_grid_given():
    class Branches(nn.Sequential):
        def forward(self, x):
            return self[0](x)

    rows = model_frame_bounds(Branches(nn.Conv1d(1, 2, 3), nn.Conv1d(1, 2, 3)), torch.zeros(1, 1, 9), grid=4)
    assert [row.bounds.grid for row in rows] == [(7,), (4,)]


@pytest.mark.parametrize("name", ["fc100-100-10", "conv", "ae400-10"])
def test_no_observed_gain_exceeds_the_bound(name):
    torch.manual_seed(1)
    model = build_model(name)
    inputs = torch.rand(6, 1, 28, 28)
    steps = [scale * torch.randn(6, 1, 28, 28) for scale in (1e-3, 0.1, 1)]
    for r in steps:
        rows = layer_gains(model, inputs, inputs + r, batch_size=4)
        assert [row.name for row in rows] == list(model.layer_names)
        assert all(row.mean <= row.largest <= row.bound for row in rows)
        assert rows[-1].bound == pytest.approx(math.prod(row.layer_bound for row in rows))
    assert rows[-1].bound == pytest.approx(lipschitz_bound(model))
    assert model.training


def test_the_gains_are_those_of_the_features():
    torch.manual_seed(0)
    model = build_model("fc20-10").double()
    inputs, r = torch.rand(5, 1, 28, 28).double(), torch.randn(5, 1, 28, 28).double()
    r[3] = 0
    first = layer_gains(model, inputs, inputs + r)[0]
    moved = (model.features(inputs + r, "hidden1") - model.features(inputs, "hidden1")).norm(dim=1)
    expected = (moved / r.flatten(1).norm(dim=1))[[0, 1, 2, 4]]
    assert (first.mean, first.largest) == pytest.approx((expected.mean().item(), expected.max().item()))


@pytest.mark.parametrize(
    "layer",
    [nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.MaxPool2d(2), nn.MaxPool2d(3), nn.MaxPool2d(3, stride=2)],
    ids=str,
)
def test_the_constants_of_the_layers_without_weights_hold(layer):
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 200, 3, 12, 12, generator=generator)
    y = x + y * torch.logspace(-4, 1, 200)[:, None, None, None]
    ratio = (layer(x) - layer(y)).flatten(1).norm(dim=1) / (x - y).flatten(1).norm(dim=1)
    assert ratio.max() <= lipschitz_bound(layer) * (1 + 1e-4)


@pytest.mark.parametrize(
    "layer",
    [nn.Identity(), nn.Flatten(), nn.Dropout(0.5), nn.Dropout2d(0.5), nn.ReLU(), nn.Tanh(), nn.Sigmoid()],
    ids=str,
)
def test_the_constants_of_the_layers_without_weights_are_attained_at_zero(layer):
    x = torch.full((1, 2, 3, 3), 1e-4, dtype=torch.float64)
    gain = (layer.eval()(x) - layer(0 * x)).norm() / x.norm()
    assert lipschitz_bound(layer) == pytest.approx(gain.item(), rel=1e-6)
    assert lipschitz_bound(nn.Sequential(layer, nn.Sequential(layer))) == lipschitz_bound(layer) ** 2


def test_relu_and_max_pooling_without_overlap_are_contractive_but_overlapping_windows_are_not():
    assert lipschitz_bound(nn.ReLU()) == lipschitz_bound(nn.MaxPool2d(2)) == lipschitz_bound(nn.MaxPool2d(3)) == 1
    overlapping = nn.MaxPool2d(3, stride=2)
    pixel = torch.zeros(1, 1, 7, 7)
    pixel[..., 2, 2] = 1
    assert overlapping(pixel).norm() == 2 == lipschitz_bound(overlapping)


def test_a_convolution_is_bounded_by_its_certificate_on_the_grid_that_was_asked_for():
    torch.manual_seed(0)
    model = LayeredModel({"conv": nn.Conv2d(1, 2, 3)})
    certificate = conv_frame_bounds(model.layers["conv"].weight, grid=5).certificate
    assert certificate > 1.01 * conv_frame_bounds(model.layers["conv"].weight).certificate
    inputs = torch.rand(2, 1, 6, 6)
    assert lipschitz_bound(model, grid=5) == certificate
    assert layer_gains(model, inputs, inputs + 1, grid=5)[0].bound == certificate


def test_a_layer_whose_constant_is_unknown_is_named():
    with pytest.raises(ValueError, match="no Lipschitz constant is known for MaxPool2d"):
        lipschitz_bound(nn.MaxPool2d(2, dilation=2))
    with pytest.raises(ValueError, match="no Lipschitz constant is known for BatchNorm2d"):
        lipschitz_bound(small_network())
    with pytest.raises(ValueError, match=r"Conv2d.*reflect"):
        lipschitz_bound(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"))


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (2, 5, 6)),
        (nn.Conv2d(2, 2, (4, 3), dilation=(1, 2), padding="same", padding_mode="circular"), (2, 5, 6)),
        (nn.Conv1d(2, 2, 1, padding="valid", padding_mode="circular"), (2, 7)),
    ],
    ids=str,
)
def test_circular_padding_is_bounded_where_the_layer_is_a_circular_convolution(layer, shape):
    assert padded_frame_bounds(layer, shape).upper <= lipschitz_bound(layer) * (1 + 1e-12)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(1, 1, 1, padding=1, padding_mode="circular"),
        nn.Conv2d(1, 1, 3, padding=2, padding_mode="circular"),
        nn.Conv2d(1, 1, 3, padding=(1, 2), padding_mode="circular"),
        nn.Conv2d(1, 1, 3, padding="valid", padding_mode="circular"),
        nn.Conv1d(1, 1, 3, stride=3, padding=1, padding_mode="circular"),
    ],
    ids=str,
)
def test_circular_padding_is_refused_where_pixels_repeat_or_go_missing(layer):
    with pytest.raises(ValueError, match=r"circular.*padding='same' and stride 1"):
        lipschitz_bound(nn.Sequential(layer))


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Doubled(LayeredModel):
    def forward(self, x):
        return 2 * super().forward(x)


class Scaled(nn.Linear):
    def forward(self, x):
        return 10 * super().forward(x)


class ScaledWeight(nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, 10 * weight, bias)


class Leaky(nn.MaxPool2d):
    def forward(self, x):
        return 10 * super().forward(x)


class Renamed(nn.Linear):
    """Only the name is another."""


def test_a_subclass_is_known_unless_its_forward_is_its_own():
    for layer in (
        Residual(nn.Identity()),
        Doubled({"identity": nn.Identity()}),
        Scaled(3, 3),
        ScaledWeight(1, 1, 3),
        Leaky(2),
    ):
        with pytest.raises(ValueError, match=f"(?s)known for {type(layer).__name__} .*none with a forward of its own"):
            lipschitz_bound(nn.Sequential(layer))
    layer = Renamed(3, 3)
    assert lipschitz_bound(layer) == linear_frame_bounds(layer.weight).upper


def test_pairs_that_do_not_match_are_refused():
    model, inputs = build_model("softmax"), torch.rand(3, 1, 28, 28)
    with pytest.raises(ValueError, match=r"expected the inputs' shape \(3, 1, 28, 28\)"):
        layer_gains(model, inputs, inputs[:2])
    with pytest.raises(ValueError, match="got the inputs themselves"):
        layer_gains(model, inputs, inputs)


def test_weights_that_are_computed_stay_what_they_are():
    """Reading a spectrally normalised weight in train mode moves its power iteration."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(50, 50))).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = model_frame_bounds(model), lipschitz_bound(model)
    assert (model_frame_bounds(model), lipschitz_bound(model)) == first
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training


def test_a_first_layer_in_place_leaves_the_inputs():
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(1, 2, 3))
    inputs = torch.randn(1, 1, 6, 6)
    before = inputs.clone()
    model_frame_bounds(model, inputs=inputs)
    assert torch.equal(inputs, before)


def test_inputs_that_the_model_does_not_take():
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(ValueError, match=r"inputs: the model takes no batch of shape \(1, 2, 8, 8\)"):
        model_frame_bounds(model, torch.zeros(1, 2, 8, 8))
    assert not model[0]._forward_hooks
    with pytest.raises(ValueError, match="inputs: expected a batch as a tensor, got list"):
        inspect.unwrap(model_frame_bounds)(model, [1])


@pytest.mark.parametrize(
    "weight",
    [
        nn.LazyConv2d(4, 3).weight,
        torch.zeros(4, 3, 3, 3, device="meta"),
        torch.zeros(4, 3, 3, 3).to_sparse(),
    ],
    ids=["lazy", "meta", "sparse"],
)
def test_a_weight_without_numbers_is_refused(weight):
    layer = nn.Conv2d(3, 4, 3)
    layer.weight = nn.Parameter(weight) if not isinstance(weight, nn.Parameter) else weight
    with pytest.raises(ValueError, match="got a lazy, meta or sparse one"):
        model_frame_bounds(nn.Sequential(layer))
