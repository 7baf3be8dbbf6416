"""AlexNet: Krizhevsky's sizes, his response normalisation, and layers that can be stopped at."""

import pytest
import torch
from torch import nn

from tutorial_pkg.models import ALEXNETS, AlexNetConfig, LocalResponseNorm, alexnet, alexnet_config, build_model
from tutorial_pkg.spectral.alexnet import ALEXNET


def weights(model):
    """Convolutions and products, in order, as (shape, stride, groups)."""
    return [
        (tuple(m.weight.shape), *((m.stride[0], m.groups) if isinstance(m, nn.Conv2d) else (1, 1)))
        for m in model.modules()
        if isinstance(m, nn.Conv2d | nn.Linear)
    ]


def test_the_original_has_table_5s_shapes_and_61_million_parameters():
    with torch.device("meta"):
        model = build_model("alexnet")
        x = torch.empty(2, 3, 224, 224)
    assert weights(model) == [(layer.weight_shape, layer.stride, layer.groups) for layer in ALEXNET]
    assert sum(p.numel() for p in model.parameters()) == 60_965_224
    sides = {name: model.features(x, name).shape[-1] for name in model.layer_names if "conv" in name or "pool" in name}
    assert sides == {
        "conv1": 55,
        "pool1": 27,
        "conv2": 27,
        "pool2": 13,
        "conv3": 13,
        "conv4": 13,
        "conv5": 13,
        "pool5": 6,
    }
    assert model(x).shape == (2, 1000)


@pytest.mark.parametrize("name", ALEXNETS)
@pytest.mark.parametrize("classes", [2, 100])
def test_every_size_runs_with_any_number_of_classes(name, classes):
    config = alexnet_config(name, classes)
    with torch.device("meta"):
        model = alexnet(config)
        x = torch.empty(3, 3, config.input_size, config.input_size)
    assert model(x).shape == (3, classes)


@pytest.mark.parametrize(("size", "stride", "pooled"), [(224, 4, 6), (64, 2, 2), (227, 4, 6)])
def test_other_input_sizes(size, stride, pooled):
    config = AlexNetConfig(input_size=size, stride=stride, hidden=(32, 32), num_classes=5)
    assert config.pooled_size == pooled
    with torch.device("meta"):
        assert alexnet(config)(torch.empty(1, 3, size, size)).shape == (1, 5)


def test_response_normalisation_is_krizhevskys_formula():
    generator = torch.Generator().manual_seed(0)
    a = 3 * torch.randn(2, 7, 3, 4, generator=generator)
    ours = LocalResponseNorm(7)(a)
    for i in range(7):
        near = a[:, max(0, i - 2) : i + 3].square().sum(1)
        expected = a[:, i] / (2 + LocalResponseNorm.alpha * near) ** 0.75
        torch.testing.assert_close(ours[:, i], expected)


def test_response_normalisation_is_torchs():
    a = torch.randn(2, 12, 5, 5, generator=torch.Generator().manual_seed(1))
    theirs = nn.LocalResponseNorm(5, alpha=5 * LocalResponseNorm.alpha, beta=0.75, k=2.0)
    torch.testing.assert_close(LocalResponseNorm(12)(a), theirs(a))


def test_above_continues_where_features_stop():
    torch.manual_seed(0)
    model = build_model("alexnet-tiny").eval()
    x = torch.rand(2, 3, 28, 28)
    for name in model.layer_names[:-1]:
        torch.testing.assert_close(model.above(name)(model.features(x, name)), model(x))


def test_inputs_are_normalised_inside():
    model = build_model("alexnet-tiny")
    x = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None].expand(1, 3, 28, 28)
    assert model.features(x, "normalise").abs().max() < 1e-6
    assert abs(float(model.features(x + 0.229, "normalise")[0, 0].mean()) - 1) < 1e-5


def test_activations_neither_vanish_nor_explode_at_first():
    torch.manual_seed(0)
    model = build_model("alexnet-small").eval()
    x = torch.rand(16, 3, 56, 56)
    with torch.no_grad():
        scales = [float(model.features(x, name).square().mean().sqrt()) for name in ("conv1", "conv3", "conv5", "fc2")]
    assert all(0.05 < scale < 5 for scale in scales), scales


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"input_size": 32}, "32 pixels is too small for a stride of 4 and three poolings"),
        ({"channels": (96, 255, 384, 384, 256)}, "even numbers of channels"),
    ],
)
def test_sizes_that_make_no_network_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        AlexNetConfig(**wrong)


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="unknown AlexNet 'vgg'; expected one of alexnet, alexnet-small"):
        alexnet_config("vgg")
