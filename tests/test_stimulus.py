"""The input that a unit likes best, where it is known."""

import pytest
import torch
from torch import nn

from tutorial_pkg.models import LayeredModel
from tutorial_pkg.stimulus import optimal_stimuli


def linear_model(weight):
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.weight.data = weight
    return LayeredModel({"units": nn.Sequential(nn.Flatten(), linear), "logits": nn.Linear(weight.shape[0], 2)})


def test_a_linear_unit_likes_a_corner_of_the_box():
    weight = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    model = linear_model(weight)
    best, responses = optimal_stimuli(model, "units", [3, 0], shape=(3, 2, 2), generator=torch.Generator())
    expected = (weight[[3, 0]] > 0).float()
    torch.testing.assert_close(best.flatten(1), expected)
    torch.testing.assert_close(responses, (expected * weight[[3, 0]]).sum(1) + model.layers["units"][1].bias[[3, 0]])


class Bump(nn.Module):
    """A unit that likes one image, and less so the others the farther they are from it."""

    def __init__(self, target):
        super().__init__()
        self.target = nn.Parameter(target)

    def forward(self, x):
        return -(x - self.target).square().sum(1, keepdim=True)


def test_the_optimum_is_in_the_box_and_gradients_are_left_alone():
    model = LayeredModel({"bump": Bump(torch.tensor([0.3, 1.7, -0.4]))})
    (best,), (response,) = optimal_stimuli(model, "bump", [0], shape=(3,), generator=torch.Generator())
    torch.testing.assert_close(best, torch.tensor([0.3, 1.0, 0.0]), atol=1e-4, rtol=0)
    assert float(response) == pytest.approx(-(0.7**2 + 0.4**2), abs=1e-4)
    assert model.layers["bump"].target.grad is None


def test_the_best_of_several_starts():
    model = LayeredModel({"bump": Bump(torch.tensor([0.5]))})
    model.layers["bump"].forward = lambda x: (6 * x - 3).sin() + 0.2 * x
    (one,), _ = optimal_stimuli(model, "bump", [0], shape=(1,), num_starts=8, generator=torch.Generator())
    assert 0.7 < float(one) < 0.85


def test_units_that_are_not_there():
    with pytest.raises(ValueError, match=r"units has 5 units, numbered from 0; got \[5\]"):
        optimal_stimuli(linear_model(torch.ones(5, 4)), "units", [5], shape=(4,), generator=torch.Generator())


def test_a_model_in_training_is_asked_in_evaluation_mode_and_left_in_training():
    linear = linear_model(torch.randn(5, 12, generator=torch.Generator().manual_seed(0)))
    norm = nn.BatchNorm1d(5)
    model = LayeredModel({"units": nn.Sequential(linear.layers["units"], norm, nn.Dropout(0.5))}).double().train()
    images, responses = optimal_stimuli(model, "units", [1, 4], shape=(12,), generator=torch.Generator())
    assert model.training
    assert norm.num_batches_tracked == 0
    expected = model.eval().features(images, "units").detach()
    torch.testing.assert_close(responses, expected[[0, 1], [1, 4]])
