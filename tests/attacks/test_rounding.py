"""What succeeds in one batch succeeds in every other, even where all logits are zero on the boundary."""

import copy
import math

import pytest
import torch
from torch import nn

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.attacks.margins import TIE_MARGIN, tie_margin

OPTIONS = {
    "walk": {},
    "cross-entropy": {"loss": "cross_entropy", "polish": False},
    "hinge": {"loss": "margin", "polish": False},
    "cross-entropy, polished": {"loss": "cross_entropy"},
}
NETWORKS = {
    "linear": lambda: [nn.Linear(784, 1)],
    "tanh": lambda: [nn.Linear(784, 100), nn.Tanh(), nn.Linear(100, 1)],
    "relu": lambda: [nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 30), nn.ReLU(), nn.Linear(30, 1)],
}


class Opposite(nn.Module):
    """Two classes whose logits are a score and its opposite: both are zero on the boundary."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Flatten(), *layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = self.score(x)
        return 5 * torch.cat([-score, score], dim=1)


@pytest.fixture(scope="module")
def inputs():
    return torch.rand(100, 1, 28, 28, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=NETWORKS)
def opposite(request, inputs):
    torch.manual_seed(0)
    model = Opposite(*NETWORKS[request.param]())
    model.score[-1].bias.data -= model.score(inputs).detach().mean()  # inputs of both classes
    return model


def share_of_rounding(model, points, targets):
    """Return the target's margin over the other class, as a share of what rounding every pixel changes it by."""
    exact = copy.deepcopy(model).double()
    leaf = points.double().requires_grad_(True)
    margin = (exact(leaf) * torch.where(targets[:, None] == torch.arange(2), 1.0, -1.0)).sum(1)
    (gradient,) = torch.autograd.grad(margin.sum(), leaf)
    return (margin / (gradient * leaf).flatten(1).norm(dim=1)).detach()


@pytest.mark.parametrize(
    ("own", "other", "slopes", "size"),
    [(3.0, 2.0, 0.0, 3.0), (-1.0, 7.0, 0.0, 7.0), (0.0, -5.0, 0.0, 5.0), (0.0, 0.0, 2.0, 10.0), (11.0, 1.0, 2.0, 11.0)],
)
def test_a_tie_is_a_share_of_the_larger_logit_or_of_what_the_pixels_add_up_to(own, other, slopes, size):
    points, gradient = torch.tensor([[3.0, 4.0]]), torch.full((1, 2), slopes)  # √((2·3)² + (2·4)²) = 10
    tie = tie_margin(torch.tensor([own]), torch.tensor([own - other]), gradient, points)
    assert tie.item() == pytest.approx(size * TIE_MARGIN)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_two_opposite_logits_hold_in_batches_of_any_size_and_in_float64(opposite, inputs, options):
    labels = opposite(inputs).argmax(1)
    for goal in ({"targets": 1 - labels}, {"labels": labels}):
        result = minimum_distortion(opposite, inputs, **goal, **options)
        assert result.success.all()
        for size in (1, 7, 100):
            parts = [opposite(some) for some in result.adv_inputs.split(size)]
            assert torch.equal(torch.cat(parts).argmax(1), 1 - labels)
        # Whether an example is missed differs with the processor; how near it is to being missed does not.
        assert share_of_rounding(opposite, result.adv_inputs, 1 - labels).min() > TIE_MARGIN / 2


def test_the_margin_costs_next_to_nothing(inputs):
    """Beside the exact distance to a hyperplane, |w·x + b| / ‖w‖, in an infinite box."""
    torch.manual_seed(0)
    model = Opposite(nn.Linear(784, 1))
    result = minimum_distortion(model, inputs, labels=model(inputs).argmax(1), box=(-math.inf, math.inf))
    linear = model.score[1]
    exact = (linear(inputs.flatten(1))[:, 0].abs() / linear.weight.norm()).detach()
    excess = result.l2_norm - exact
    assert excess.min() > 0
    assert excess.max() < 1e-3 * exact.mean()


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_the_logits_scale_does_not_matter(inputs, scale):
    torch.manual_seed(0)
    model = Opposite(*NETWORKS["tanh"]())
    labels = model(inputs).argmax(1)
    plain = minimum_distortion(model, inputs, labels=labels)
    scaled = minimum_distortion(lambda x: model(x) * scale, inputs, labels=labels)
    assert scaled.success.all()
    assert scaled.l2_norm == pytest.approx(plain.l2_norm, rel=1e-4)


@pytest.mark.parametrize("scale", [2.0**-8, 2.0**8])
def test_the_logits_scale_does_not_matter_to_the_hinge(inputs, scale):
    torch.manual_seed(0)
    model = Opposite(*NETWORKS["tanh"]())
    labels = model(inputs).argmax(1)
    plain, scaled = (
        minimum_distortion(lambda x, k=k: model(x) * k, inputs[:20], labels=labels[:20], **OPTIONS["hinge"])
        for k in (1.0, scale)
    )
    assert scaled.success.all()
    assert scaled.l2_norm == pytest.approx(plain.l2_norm, rel=1e-4)


@pytest.mark.parametrize("masked", [-1e3, -1e9])
def test_a_class_that_is_masked_by_a_large_negative_logit_asks_for_no_margin(inputs, masked):
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(784, 4))

    def model(x):
        logits = linear(x)
        return torch.cat([logits, torch.full_like(logits[:, :1], masked)], dim=1)

    targets = (linear(inputs).argmax(1) + 1) % 4
    plain = minimum_distortion(linear, inputs, targets=targets)
    result = minimum_distortion(model, inputs, targets=targets)
    assert result.success.all()
    assert result.l2_norm == pytest.approx(plain.l2_norm, rel=1e-4)
