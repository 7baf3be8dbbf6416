"""More classes than are tried at a time: the nearest is found where the logits alone mislead."""

import math

import torch
from torch import nn

from tutorial_pkg.attacks import minimum_distortion

NOWHERE = (-math.inf, math.inf)


def nearest_plane(model, inputs, labels):
    """Return the exact distance to the nearest boundary of a linear classifier, min_j m_j / ‖w_l − w_j‖."""
    weight = model.weight.detach()
    logits = model(inputs).detach()
    over = logits.gather(1, labels[:, None]) - logits
    lengths = (weight[labels][:, None] - weight[None]).norm(dim=2)
    return (over / lengths).where(lengths > 0, math.inf).amin(1)


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
    ratio = result.l2_norm / nearest_plane(model, inputs, labels)
    assert result.success.all()
    assert (ratio > 1 - 1e-6).all()
    assert (ratio < 1.01).double().mean() >= 0.95
    assert ratio.max() < 1.5


def test_classes_are_tried_until_one_is_reached():
    """Eighteen classes below the label everywhere, and the nineteenth within reach."""

    def model(x):
        a = x.sum(1)
        below = [a - 0.01 * i for i in range(19)]
        return torch.stack([*below, 2 * a - 3], dim=1)

    result = minimum_distortion(model, torch.full((1, 4), 0.5), labels=torch.tensor([0]))
    assert result.success
    assert result.targets == 19
    assert abs(float(result.l2_norm) - 0.5) < 1e-4


def test_the_order_does_not_depend_on_the_batch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(30, 50), nn.Tanh(), nn.Linear(50, 40)).double()
    inputs = torch.rand(12, 30, dtype=torch.float64)
    labels = model(inputs).argmax(1)
    together = minimum_distortion(model, inputs, labels=labels)
    alone = minimum_distortion(model, inputs, labels=labels, batch_size=9)
    assert torch.equal(together.targets, alone.targets)
