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


class Valley(nn.Module):
    """A unit that likes 1 most, and 0 nearly as much; uphill from grey is towards 0."""

    def __init__(self):
        super().__init__()
        self.depth = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return 0.1 * x - self.depth * (6 * x - 3.12).cos()


def test_the_best_of_several_starts():
    model = LayeredModel({"valley": Valley()})
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        (one,), (response,) = optimal_stimuli(model, "valley", [0], shape=(1,), num_starts=12, generator=generator)
        assert float(one) == 1
        assert float(response) == pytest.approx(model(one).item())


def test_no_more_steps_than_asked_for_and_no_noise_but_the_generators():
    model, state = linear_model(torch.ones(2, 4)), torch.get_rng_state()
    starts = [
        optimal_stimuli(model, "units", [0], shape=(4,), max_iter=0, generator=torch.Generator().manual_seed(seed))[0]
        for seed in (0, 0, 1)
    ]
    assert torch.equal(starts[0], starts[1])
    assert not torch.equal(starts[0], starts[2])
    assert all(((start > 0) & (start < 1)).all() for start in starts)
    assert torch.equal(torch.get_rng_state(), state)


def test_units_that_are_not_there():
    for unit in (5, -1):
        with pytest.raises(ValueError, match=rf"units has 5 units, numbered from 0; got \[{unit}\]"):
            optimal_stimuli(linear_model(torch.ones(5, 4)), "units", [unit], shape=(4,), generator=torch.Generator())


def test_a_model_in_training_is_asked_in_evaluation_mode_and_left_in_training():
    linear = linear_model(torch.randn(5, 12, generator=torch.Generator().manual_seed(0)))
    norm = nn.BatchNorm1d(5)
    model = LayeredModel({"units": nn.Sequential(linear.layers["units"], norm, nn.Dropout(0.5))}).double().train()
    images, responses = optimal_stimuli(model, "units", [1, 4], shape=(12,), generator=torch.Generator())
    assert model.training
    assert norm.num_batches_tracked == 0
    expected = model.eval().features(images, "units").detach()
    torch.testing.assert_close(responses, expected[[0, 1], [1, 4]])
