"""Networks full of kinks, where a walk does not arrive and the default starts again along the smoothed boundary."""

import copy
import itertools

import pytest
import torch
from torch import Tensor

from tests.attacks.oracles import linear_distance
from tutorial_pkg.attacks import boundary, goals, minimum_distortion, second_start
from tutorial_pkg.attacks.boundary import walk_boundary
from tutorial_pkg.attacks.found import NUM_PULLS
from tutorial_pkg.attacks.margins import Classifier
from tutorial_pkg.attacks.smoothed_walk import NUM_STEPS
from tutorial_pkg.attacks.walk import Nearest


def test_a_network_full_of_kinks_is_attacked_as_well_as_by_the_search(kinked, kinked_images):
    x, targets = kinked_images[0], (kinked_images[1] + 1) % 10
    walked = walk_boundary(kinked, x, targets, box=(0.0, 1.0), max_iter=100)
    assert walked.settled.double().mean() < 0.5  # else this tests nothing
    result = minimum_distortion(kinked, x, targets=targets)
    assert result.success.all()
    assert torch.equal(kinked(result.adv_inputs).argmax(1), targets)
    assert torch.allclose((result.adv_inputs - x).flatten(1).norm(dim=1), result.l2_norm)
    for options in ({"polish": False}, {"loss": "cross_entropy", "polish": False}, {"loss": "cross_entropy"}):
        other = minimum_distortion(kinked, x, targets=targets, **options)
        assert result.l2_norm.mean() < 0.99 * other.l2_norm[other.success].mean()


def test_the_nearest_class_of_a_network_full_of_kinks(kinked, kinked_images):
    x, labels = kinked_images[0][:6], kinked_images[1][:6]
    result = minimum_distortion(kinked, x, labels=labels)
    searched = minimum_distortion(kinked, x, labels=labels, polish=False)
    assert result.success.all()
    assert result.l2_norm.mean() < searched.l2_norm.mean()


def test_nothing_is_lost_by_giving_up_classes_that_fall_behind(kinked, kinked_images):
    x, labels = kinked_images[0][:6], kinked_images[1][:6]
    result = minimum_distortion(kinked, x, labels=labels)
    every = [minimum_distortion(kinked, x, targets=(labels + shift) % 10) for shift in range(1, 10)]
    nearest = torch.stack([found.l2_norm for found in every]).amin(0)
    assert (result.l2_norm / nearest).max() < 1 + 1e-4
    assert result.num_evals.sum() < 0.6 * sum(found.num_evals.sum() for found in every)


def test_with_a_second_start_more_iterations_still_give_no_larger_distortion(kinked, kinked_images):
    model, x = copy.deepcopy(kinked).double(), kinked_images[0][:8].double()
    targets = (kinked_images[1][:8] + 1) % 10
    norms = [minimum_distortion(model, x, targets=targets, max_iter=n).l2_norm for n in (5, 20, 29, 30, 31, 45, 400)]
    assert torch.isfinite(norms[-1]).all()
    for fewer, more in itertools.pairwise(norms):
        assert (more <= fewer * (1 + 1e-9)).all()


def test_a_walk_that_arrives_has_no_second_start(network, images, targets):
    walked = walk_boundary(network, images[0], targets, box=(0.0, 1.0), max_iter=goals.PATIENCE)
    result = minimum_distortion(network, images[0], targets=targets)
    assert walked.settled.double().mean() > 0.8
    assert torch.equal(result.num_evals[walked.settled], walked.num_evals[walked.settled])
    assert torch.equal(result.adv_inputs.flatten(1)[walked.settled], walked.points[walked.settled])


@pytest.fixture
def nothing_but_walks(monkeypatch):
    """No kinks are seen, so that every problem is walked first, and nothing is found on the smoothed boundary."""

    def nothing(model: Classifier, inputs: Tensor, *_, **__) -> Nearest:
        found = Nearest.nothing_yet(inputs.flatten(1))
        found.num_evals += NUM_STEPS
        return found

    monkeypatch.setattr(second_start, "walk_smoothed", nothing)
    monkeypatch.setattr(goals, "among_kinks", lambda model, x, targets, *, box: torch.zeros_like(targets).bool())


@pytest.mark.parametrize("more", [0, 7])
def test_a_slow_walk_takes_no_more_steps_than_it_has_left(kinked, kinked_images, nothing_but_walks, more):
    x, targets = kinked_images[0][:6], (kinked_images[1][:6] + 1) % 10
    walked = walk_boundary(kinked, x, targets, box=(0.0, 1.0), max_iter=goals.PATIENCE)
    slow = ~walked.settled & walked.squared_norm.isfinite()
    result = minimum_distortion(kinked, x, targets=targets, max_iter=goals.PATIENCE + more)
    again = result.num_evals[slow] - walked.num_evals[slow] - NUM_STEPS - NUM_PULLS
    assert again.max() == (1 + more if more else 0)  # the point where it starts, and one a step


@pytest.mark.parametrize(("max_iter", "halted"), [(8, False), (25, True)])
def test_a_walk_of_few_steps_starts_again_where_it_came_to_a_halt_and_not_where_it_was_cut_short(
    kinked, kinked_images, nothing_but_walks, monkeypatch, max_iter, halted
):
    monkeypatch.setattr(boundary, "SHORTEST_STEP", 0.2)  # three rejections in a row, and the walk comes to a halt
    x, targets = kinked_images[0][:6], (kinked_images[1][:6] + 1) % 10
    walked = walk_boundary(kinked, x, targets, box=(0.0, 1.0), max_iter=max_iter)
    meant = ~walked.settled & ((walked.num_evals <= max_iter) == halted)
    assert meant.any(), "no walk ends as this test needs it"
    num_evals = minimum_distortion(kinked, x, targets=targets, max_iter=max_iter).num_evals
    assert ((num_evals >= NUM_STEPS) == halted)[meant].all()
    if not halted:
        assert torch.equal(num_evals[meant], walked.num_evals[meant])


def test_the_second_start_alone_comes_near_the_exact_optimum(linear, images, targets, monkeypatch):
    monkeypatch.setattr(goals, "PATIENCE", 1)  # every walk is cut off before its point is a success
    weight, bias = (p.detach() for p in linear.parameters())
    result = minimum_distortion(linear, images[0], targets=targets, max_iter=1)
    exact = [linear_distance(weight, bias, a, int(t))[0] for a, t in zip(images[0], targets, strict=True)]
    ratio = result.l2_norm.double() / torch.tensor(exact)
    assert result.success.all()
    assert ratio.min() > 1 - 1e-5
    assert ratio.mean() < 1.005


def test_c_of_the_papers_search_stays_when_its_point_is_polished(network, images, targets):
    searched = minimum_distortion(network, images[0], targets=targets, loss="cross_entropy", polish=False)
    polished = minimum_distortion(network, images[0], targets=targets, loss="cross_entropy")
    assert (polished.l2_norm < searched.l2_norm).any()
    assert torch.equal(polished.c[searched.success], searched.c[searched.success])


@pytest.mark.parametrize("loss", ["margin", "cross_entropy"])
def test_c_of_the_walk_and_of_the_searches_are_on_one_scale(linear, images, targets, loss):
    walked = minimum_distortion(linear, images[0], targets=targets)
    searched = minimum_distortion(linear, images[0], targets=targets, loss=loss, polish=False)
    assert (searched.c / walked.c).median() == pytest.approx(1, rel=0.25)


@pytest.mark.parametrize("goal", ["targets", "labels"])
def test_no_more_are_evaluated_together_than_asked_for(kinked, kinked_images, goal):
    x, labels = kinked_images[0], kinked_images[1]
    seen = []

    def model(inputs: Tensor) -> Tensor:
        seen.append(len(inputs))
        return kinked(inputs)

    classes = (labels + (goal == "targets")) % 10
    result = minimum_distortion(model, x, **{goal: classes}, batch_size=9, max_iter=30)
    assert result.success.all()
    assert max(seen) <= 9
    together = minimum_distortion(kinked, x, **{goal: classes}, max_iter=30)
    assert (result.l2_norm / together.l2_norm).mean() == pytest.approx(1, abs=5e-3)
