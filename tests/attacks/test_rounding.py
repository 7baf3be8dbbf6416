"""What holds in one batch holds in every other."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from tutorial_pkg.attacks import minimum_distortion, survive_rounding
from tutorial_pkg.attacks.margins import TIE_MARGIN


def one_score(hidden: int) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Linear(784, hidden), nn.Sigmoid(), nn.Linear(hidden, 1)] if hidden else [nn.Linear(784, 1)]
    return nn.Sequential(nn.Flatten(), *layers)


class Opposite(nn.Module):
    """Two classes whose logits are a score and its opposite: both are zero on the boundary."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = self.net(x)
        return 5 * torch.cat([-score, score], dim=1)


@pytest.fixture(params=[0, 100], ids=["linear", "hidden layer"])
def attacked(request):
    model = Opposite(one_score(request.param))
    inputs = torch.rand(200, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    model.net[-1].bias.data -= model.net(inputs).detach().mean()  # inputs of both classes
    targets = 1 - model(inputs).argmax(1)
    return model, inputs, targets, minimum_distortion(model, inputs, targets=targets)


def misses(model, result, size):
    predicted = torch.cat([model(some) for some in result.adv_inputs.split(size)]).argmax(1)
    return int((predicted != result.targets).sum())


def share_of_rounding(model, points, targets):
    """Return the target's margin over the other class, as a share of what rounding every pixel changes it by."""
    exact = copy.deepcopy(model).double()
    leaf = points.double().requires_grad_(True)
    margin = (exact(leaf) * torch.where(targets[:, None] == torch.arange(2), 1.0, -1.0)).sum(1)
    (gradient,) = torch.autograd.grad(margin.sum(), leaf)
    return (margin / (gradient * leaf).flatten(1).norm(dim=1)).detach()


def test_two_opposite_logits_hold_in_batches_of_any_size_and_in_float64(attacked):
    model, inputs, targets, nearest = attacked
    # Whether an example is missed differs with the processor; how near it is to being missed does not.
    assert share_of_rounding(model, nearest.adv_inputs, targets).median() < TIE_MARGIN / 2
    safe = survive_rounding(model, inputs, nearest)
    assert share_of_rounding(model, safe.adv_inputs, targets).min() > TIE_MARGIN / 2
    assert safe.success.all()
    assert [misses(model, safe, size) for size in (1, 7, 64, 200)] == [0, 0, 0, 0]
    doubled = model.double()(safe.adv_inputs.double()).argmax(1)
    assert (doubled == targets).all()
    assert (safe.l2_norm - nearest.l2_norm).abs().max() < 1e-4 * nearest.l2_norm.mean()
    assert safe.adv_inputs.min() >= 0
    assert safe.adv_inputs.max() <= 1
    assert safe.l2_norm == pytest.approx((safe.adv_inputs - inputs).flatten(1).norm(dim=1))
    assert safe.rms_distortion == pytest.approx(safe.l2_norm / 28)


def test_what_holds_already_stays_and_nothing_of_the_callers_changes(attacked):
    model, inputs, _, nearest = attacked
    model.train()
    before = inputs.clone(), nearest.adv_inputs.clone()
    once = survive_rounding(model, inputs, nearest)
    assert torch.equal(survive_rounding(model, inputs, once).adv_inputs, once.adv_inputs)
    in_parts = survive_rounding(model, inputs, once, batch_size=17)
    assert torch.allclose(in_parts.adv_inputs, once.adv_inputs, rtol=0, atol=1e-4)
    assert torch.equal(inputs, before[0])
    assert torch.equal(nearest.adv_inputs, before[1])
    assert model.training
    assert all(p.grad is None for p in model.parameters())


def test_failures_and_inputs_that_are_there_already_are_left_alone():
    model = Opposite(one_score(0))
    inputs = torch.rand(20, 1, 28, 28, generator=torch.Generator().manual_seed(2))
    there = model(inputs).argmax(1)
    result = survive_rounding(model, inputs, minimum_distortion(model, inputs, targets=there))
    assert result.success.all()
    assert torch.equal(result.adv_inputs, inputs)
    box = (float(inputs.min()), float(inputs.max()))
    constant = nn.Sequential(nn.Flatten(), nn.Linear(784, 2))
    nn.init.zeros_(constant[1].weight)
    constant[1].bias.data = torch.tensor([1.0, 0.0])
    failed = minimum_distortion(constant, inputs, targets=torch.ones(20, dtype=torch.long), box=box)
    assert not failed.success.any()
    again = survive_rounding(constant, inputs, failed, box=box)
    assert torch.equal(again.adv_inputs, inputs)
    assert again.l2_norm.isinf().all()


def test_an_example_that_no_step_can_mend_is_a_failure():
    """The target wins by a hair, and the margin rises only across the perturbation, not along it."""

    class Across(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            margin = 5 * (x[:, 0] - x[:, 1])
            return torch.stack([torch.zeros_like(margin), margin], dim=1)

    model, inputs = Across(), torch.tensor([[0.2, 0.2 - 1e-6]])
    nearest = minimum_distortion(model, inputs, labels=torch.tensor([1]))
    along = torch.tensor([[0.4, 0.4 - 1e-6]])
    nearest = replace(nearest, adv_inputs=along, targets=torch.tensor([1]), l2_norm=(along - inputs).norm(dim=1))
    assert nearest.success
    result = survive_rounding(model, inputs, nearest)
    assert not result.success
    assert torch.equal(result.adv_inputs, inputs)
    assert result.rms_distortion.isinf()


def test_bad_input_is_refused(attacked):
    model, inputs, _, nearest = attacked
    with pytest.raises(ValueError, match="pass the inputs that were attacked"):
        survive_rounding(model, inputs[:5], nearest)
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        survive_rounding(model, inputs, nearest, batch_size=0)
