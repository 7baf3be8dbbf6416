"""More classes than are tried at a time: the nearest is found where the logits alone mislead."""

import math

import pytest
import torch
from torch import nn

from tutorial_pkg.attacks import minimum_distortion, nearest_class
from tutorial_pkg.attacks.class_order import by_expected_distance
from tutorial_pkg.attacks.margins import margins

NOWHERE = (-math.inf, math.inf)


def plane_distances(model, inputs, labels):
    """Return the exact distances to the boundaries of a linear classifier, m_j / ‖w_l − w_j‖; infinity to itself."""
    weight = model.weight.detach()
    logits = model(inputs).detach()
    over = logits.gather(1, labels[:, None]) - logits
    lengths = (weight[labels][:, None] - weight[None]).norm(dim=2)
    return (over / lengths).where(lengths > 0, math.inf)


def test_a_class_with_a_small_logit_and_a_steep_boundary_is_found():
    """Five groups of forty: a class's own group has the next logits, and another group the nearest boundary."""
    generator = torch.Generator().manual_seed(0)
    groups = torch.randn(5, 64, generator=generator, dtype=torch.float64).repeat_interleave(40, 0)
    model = nn.Linear(64, 200, bias=False).double()
    model.weight.data = groups + 0.05 * torch.randn(200, 64, generator=generator, dtype=torch.float64)
    model.bias = nn.Parameter(torch.randn(200, generator=generator, dtype=torch.float64))
    inputs = torch.rand(40, 64, generator=generator, dtype=torch.float64)
    labels = model(inputs).argmax(1)
    result = minimum_distortion(model, inputs, labels=labels, box=NOWHERE)
    distance, nearest = plane_distances(model, inputs, labels).min(1)
    ratio = result.l2_norm / distance
    assert result.success.all()
    assert torch.equal(result.targets, nearest)
    assert (ratio > 1 - 1e-6).all()
    assert (ratio < 1.01).double().mean() >= 0.95
    assert ratio.max() < 1.02  # the margin by which a success must hold; the nearest boundary is 0.02 away


@pytest.mark.parametrize("num_classes", [12, 101, 102, 300])
def test_classes_come_in_the_order_of_their_distance(num_classes):
    """Up to 100 other classes in the exact order, of more at least the nearest ones."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Linear(64, num_classes).double()
    lengths = 10 ** torch.linspace(-1, 1, num_classes, dtype=torch.float64)
    model.weight.data = torch.randn(num_classes, 64, generator=generator, dtype=torch.float64) * lengths[:, None]
    inputs = torch.rand(20, 64, generator=generator, dtype=torch.float64)
    logits = model(inputs).detach()
    labels = logits.argmax(1)
    order = by_expected_distance(model, inputs, labels, margins(logits, labels), NOWHERE)
    distance = plane_distances(model, inputs, labels)
    assert torch.equal(order.sort(1).values, distance.argsort(1)[:, :-1].sort(1).values)
    exact = min(num_classes - 1, 5 if num_classes > 101 else num_classes)
    assert torch.equal(order[:, :exact], distance.argsort(1)[:, :exact])


def test_slopes_are_estimated_in_the_box():
    torch.manual_seed(0)
    linear = nn.Linear(16, 150).double()

    def model(x):
        assert ((x >= 0) & (x <= 1)).all()
        return linear(x)

    inputs = torch.rand(5, 16, dtype=torch.float64).round()
    logits = model(inputs).detach()
    labels = logits.argmax(1)
    order = by_expected_distance(model, inputs, labels, margins(logits, labels), (0.0, 1.0))
    assert order.shape == (5, 149)


def test_classes_are_tried_until_one_is_reached():
    """Eighteen classes that seem near and stay below the label everywhere, and the nineteenth within reach."""

    def model(x):
        a = x.sum(1)
        seems_near = a - 0.5 + 0.4 * (10 * (x[:, 0] - 0.5)).tanh()
        return torch.stack([a, *[seems_near - 0.001 * i for i in range(18)], 2 * a - 3], dim=1)

    result = minimum_distortion(model, torch.full((1, 4), 0.5), labels=torch.tensor([0]))
    assert result.success
    assert result.targets == 19
    assert abs(float(result.l2_norm) - 0.5) < 1e-4


def test_a_bad_order_costs_passes_and_not_the_nearest_class(monkeypatch):
    """While the nearest so far is among the last that were tried, more are tried."""
    torch.manual_seed(0)
    model = nn.Linear(20, 40).double()
    inputs = torch.rand(6, 20, dtype=torch.float64)
    labels = model(inputs).argmax(1)
    nearest = plane_distances(model, inputs, labels).argmin(1)
    good = minimum_distortion(model, inputs, labels=labels, box=NOWHERE)
    monkeypatch.setattr(nearest_class, "by_expected_distance", lambda *args: by_expected_distance(*args).flip(1))
    bad = minimum_distortion(model, inputs, labels=labels, box=NOWHERE)
    assert torch.equal(good.targets, nearest)
    assert torch.equal(bad.targets, nearest)
    assert (bad.num_evals > good.num_evals).all()


def test_the_order_does_not_depend_on_the_batch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 50), nn.Tanh(), nn.Linear(50, 40)).double()
    inputs = torch.rand(12, 30, dtype=torch.float64)
    labels = model(inputs).argmax(1)
    together = minimum_distortion(model, inputs, labels=labels)
    alone = minimum_distortion(model, inputs, labels=labels, batch_size=9)
    assert torch.equal(together.targets, alone.targets)


def test_the_evaluations_of_all_classes_count():
    """Two classes equally far, in directions at a right angle, so that neither is given up for the other."""
    model = nn.Linear(2, 3).double()
    model.weight.data = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    model.bias.data = torch.tensor([0.0, -1.0, -1.0], dtype=torch.float64)
    clean = torch.zeros(1, 2, dtype=torch.float64)
    each = [minimum_distortion(model, clean, targets=torch.tensor([j]), box=NOWHERE).num_evals for j in (1, 2)]
    nearest = minimum_distortion(model, clean, labels=torch.tensor([0]), box=NOWHERE)
    assert nearest.num_evals.item() == sum(each) > max(each)
