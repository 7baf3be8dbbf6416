"""Which networks are full of kinks, as a walk has to know before it begins."""

import copy

import pytest
import torch
from torch import nn

from tutorial_pkg.attacks import kinks, minimum_distortion
from tutorial_pkg.attacks.kinks import among_kinks
from tutorial_pkg.models.mnist import fully_connected

BOX = (0.0, 1.0)


def layers(activation: type[nn.Module], gain: float = 1.0) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 60), activation(), nn.Linear(60, 40), activation())
    model.append(nn.Linear(40, 10))
    for layer in (model[1], model[3]):
        nn.init.normal_(layer.weight, std=gain / layer.in_features**0.5)
    return model


@pytest.fixture
def saturated() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A smooth network so steep that its units hardly change, inputs, and classes many of which are not in the box."""
    torch.manual_seed(0)
    model = fully_connected((9, 6, 4)).eval()
    for parameter in model.parameters():
        parameter.data *= 8
    inputs = torch.rand(200, 9, generator=torch.Generator().manual_seed(0))
    return model, inputs, (model(inputs).argmax(1) + 1) % 4


def flags(model: nn.Module, digits) -> torch.Tensor:
    inputs = digits.test_inputs[:40]
    return among_kinks(model, inputs, (model(inputs).argmax(1) + 1) % 10, box=BOX)


@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Tanh, nn.GELU, nn.SiLU, nn.ELU, nn.Softplus, nn.Identity])
@pytest.mark.parametrize("gain", [1.0, 8.0])
def test_a_smooth_network_has_none(activation, gain, digits):
    assert not flags(layers(activation, gain), digits).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_network_of_convolutions_relu_and_pooling_is_full_of_them(kinked, kinked_images, dtype):
    inputs, labels = kinked_images[0].to(dtype), kinked_images[1]
    model = copy.deepcopy(kinked).to(dtype)
    assert among_kinks(model, inputs, (labels + 1) % 10, box=BOX).double().mean() > 0.5


def test_two_rivals_that_change_places_are_no_kink_of_the_network():
    # From the very first step on, class 2 is the stronger rival; its gradient is another one.
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    inputs = torch.tensor([[0.2, 0.5]])
    bias = torch.tensor([0.0, 0.0, 1.0 - 1e-6])
    assert not among_kinks(lambda x: x @ weight.T + bias, inputs, torch.tensor([0]), box=BOX).any()


@pytest.mark.parametrize(("side", "seen"), [(1, True), (-1, False)])
def test_kinks_are_looked_for_on_the_way_to_the_boundary(side, seen):
    """The margin x − 0.9 from 0.5 on, with a kink next to 0.5 that is on the way or behind."""

    def model(x):
        margin = x[:, 0] - 0.9 + 0.1 * (side * (x[:, 0] - 0.5) - 1e-4).relu()
        return torch.stack([torch.zeros_like(margin), margin], dim=1)

    inputs = torch.full((1, 1), 0.5, dtype=torch.float64)
    assert among_kinks(model, inputs, torch.tensor([1]), box=BOX).item() == seen


def test_a_saturated_network_whose_boundary_is_far_beyond_the_box_has_none(saturated):
    model, inputs, targets = saturated
    assert among_kinks(model, inputs, targets, box=BOX).double().mean() < 0.02


def test_what_is_mistaken_for_kinks_is_reached_no_less_often(saturated, monkeypatch):
    model, inputs, targets = saturated
    expected = minimum_distortion(model, inputs, targets=targets)
    monkeypatch.setattr(kinks, "ROUGH", 0.0)
    monkeypatch.setattr(kinks, "GROWTH", float("inf"))  # now nearly every problem is
    assert among_kinks(model, inputs, targets, box=BOX).double().mean() > 0.9
    result = minimum_distortion(model, inputs, targets=targets)
    assert 0.1 < expected.success.double().mean() < 0.9
    assert result.success.sum() >= expected.success.sum()


def test_where_there_is_no_slope_there_are_no_kinks():
    assert not among_kinks(
        lambda x: 0 * x[:, :2] + torch.tensor([1.0, 0.0]), torch.rand(3, 4), torch.ones(3).long(), box=BOX
    ).any()


def test_it_stays_in_the_box_and_takes_three_gradients_at_most(digits):
    calls = []
    model = layers(nn.ReLU, 4.0)

    def guarded(x: torch.Tensor) -> torch.Tensor:
        assert ((x >= 0) & (x <= 1)).all()
        calls.append(len(x))
        return model(x)

    inputs = digits.test_inputs[:40]
    among_kinks(guarded, inputs, (model(inputs).argmax(1) + 1) % 10, box=BOX)
    assert calls[:2] == [40, 40]
    assert len(calls) <= 3


def test_where_they_are_seen_no_walk_is_wasted_and_nothing_is_lost(kinked, kinked_images, monkeypatch):
    inputs, targets = kinked_images[0], (kinked_images[1] + 1) % 10
    seen = minimum_distortion(kinked, inputs, targets=targets)
    monkeypatch.setattr(kinks, "ROUGH", float("inf"))
    unseen = minimum_distortion(kinked, inputs, targets=targets)
    assert seen.num_evals.sum() < unseen.num_evals.sum()
    assert (seen.l2_norm / unseen.l2_norm).mean() < 1.002
