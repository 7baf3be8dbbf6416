"""The walk along the smoothed boundary: exact optima, what it may keep, and that no row depends on another."""

import copy

import pytest
import torch
from torch import Tensor, nn

from tests.attacks.oracles import linear_distance
from tutorial_pkg.attacks import smoothed_walk
from tutorial_pkg.attacks.smoothed_walk import walk_smoothed
from tutorial_pkg.attacks.walk import Competition

BOX = (0.0, 1.0)


@pytest.fixture(scope="module")
def kinky() -> tuple[nn.Module, Tensor, Tensor]:
    """A random network of ReLU, inputs, and classes that they are not in."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 60), nn.ReLU(), nn.Linear(60, 40), nn.ReLU(), nn.Linear(40, 5))
    for layer in model[::2]:
        nn.init.normal_(layer.weight, std=2 / layer.in_features**0.5)
    inputs = torch.rand(30, 20)
    return model, inputs, (model(inputs).argmax(1) + 1) % 5


def test_it_comes_near_the_exact_optimum_of_a_linear_classifier(linear, images, targets):
    weight, bias = (p.detach() for p in linear.parameters())
    found = walk_smoothed(linear, images[0], targets, box=BOX)
    exact = [linear_distance(weight, bias, a, int(t))[0] for a, t in zip(images[0], targets, strict=True)]
    ratio = found.squared_norm.sqrt().double() / torch.tensor(exact)
    assert ratio.min() > 1 - 1e-5
    assert ratio.mean() < 1.005


@pytest.mark.parametrize("box", [BOX, (-0.5, 1.5), (-float("inf"), float("inf"))])
def test_what_is_kept_is_in_the_box_and_in_the_class(kinky, box):
    model, inputs, targets = kinky
    found = walk_smoothed(model, inputs, targets, box=box)
    reached = torch.isfinite(found.squared_norm)
    assert reached.double().mean() > 0.9
    assert (found.points >= box[0]).all()
    assert (found.points <= box[1]).all()
    assert torch.equal(model(found.points).argmax(1)[reached], targets[reached])
    assert torch.equal(found.points[~reached], inputs[~reached])
    torch.testing.assert_close((found.points - inputs).square().sum(1)[reached], found.squared_norm[reached])
    assert (found.num_evals == 200).all()
    assert (found.multiplier[reached] > 0).all()


def test_noise_never_leaves_the_box(kinky):
    model, inputs, targets = kinky

    def guarded(x: Tensor) -> Tensor:
        assert ((x >= 0) & (x <= 1)).all()
        return model(x)

    walk_smoothed(guarded, inputs, targets, box=BOX)


def test_a_row_does_not_depend_on_the_others(kinky, monkeypatch):
    monkeypatch.setattr(smoothed_walk, "NUM_STEPS", 40)
    model, inputs, targets = copy.deepcopy(kinky[0]).double(), kinky[1].double(), kinky[2]
    together = walk_smoothed(model, inputs, targets, box=BOX, seed=3)
    for rows in (torch.tensor([3]), torch.tensor([29, 3, 7])):
        alone = walk_smoothed(model, inputs[rows], targets[rows], box=BOX, seed=3)
        torch.testing.assert_close(alone.points, together.points[rows])


def test_it_passes_the_corners_in_which_a_walk_without_noise_stops(kinky, monkeypatch):
    model, inputs, targets = kinky
    found = walk_smoothed(model, inputs, targets, box=BOX)
    monkeypatch.setattr(smoothed_walk, "NUM_STEPS", 800)
    slower = walk_smoothed(model, inputs, targets, box=BOX)
    monkeypatch.setattr(smoothed_walk, "NUM_STEPS", 200)
    monkeypatch.setattr(smoothed_walk, "NOISE", 0.0)
    without = walk_smoothed(model, inputs, targets, box=BOX)
    both = torch.isfinite(found.squared_norm) & torch.isfinite(without.squared_norm)
    assert found.squared_norm[both].sqrt().mean() < 0.995 * without.squared_norm[both].sqrt().mean()
    both = torch.isfinite(found.squared_norm) & torch.isfinite(slower.squared_norm)
    assert slower.squared_norm[both].sqrt().mean() < found.squared_norm[both].sqrt().mean()


def test_other_noise_is_another_walk_and_the_same_noise_the_same(kinky):
    model, inputs, targets = kinky
    walks = [walk_smoothed(model, inputs, targets, box=BOX, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(walks[0].points, walks[1].points)
    norms = torch.stack([walk.squared_norm for walk in walks[1:]]).sqrt()
    norms = norms[:, norms.isfinite().all(0)]
    assert (norms.diff(dim=0).abs() > 1e-3 * norms[0]).any()
    assert norms.amin(0).mean() < norms.mean(1).min()


def test_of_rows_that_compete_only_the_hopeless_are_given_up(kinky):
    model, inputs, _ = kinky
    own = model(inputs).argmax(1)
    classes = torch.stack([(own + shift) % 5 for shift in range(1, 5)], dim=1)
    rows, image = inputs.repeat_interleave(4, 0), torch.arange(30).repeat_interleave(4)
    alone = walk_smoothed(model, rows, classes.flatten(), box=BOX)
    known = torch.full((30,), torch.inf)
    competing = walk_smoothed(model, rows, classes.flatten(), box=BOX, competition=Competition(image, known))
    assert 0.1 < competing.settled.double().mean() < 0.9
    assert not alone.settled.any()
    nearest, among = (found.squared_norm.reshape(30, 4).amin(1).sqrt() for found in (alone, competing))
    assert (among / nearest).mean() < 1.002
    reached = competing.squared_norm.isfinite()
    torch.testing.assert_close(competing.points[reached], alone.points[reached], rtol=0, atol=1e-4)


def test_a_distance_that_is_known_already_gives_up_what_is_farther(kinky):
    model, inputs, targets = kinky
    image, known = torch.arange(30), torch.full((30,), 1e-6)
    competing = walk_smoothed(model, inputs, targets, box=BOX, competition=Competition(image, known))
    assert competing.settled.all()
    assert torch.equal(competing.points, inputs)
    assert (competing.num_evals < 25).all()


def test_where_there_is_no_slope_nothing_moves_and_nothing_is_found():
    inputs = torch.rand(3, 4)
    found = walk_smoothed(lambda x: 0 * x[:, :2] + torch.tensor([1.0, 0.0]), inputs, torch.ones(3).long(), box=BOX)
    assert torch.equal(found.points, inputs)
    assert found.squared_norm.isinf().all()


def test_a_model_without_a_value_somewhere_in_the_box(kinky):
    model, inputs, targets = kinky

    def holed(x: Tensor) -> Tensor:
        return torch.where(x[:, :1] > 0.5, model(x), torch.nan)

    inside = inputs[:, 0] > 0.6
    found = walk_smoothed(holed, inputs[inside], targets[inside], box=BOX)
    assert torch.isfinite(found.points).all()
    assert torch.isfinite(found.squared_norm).any()
