"""Targets that fill only a corner of the box, or none of it: reached wherever a linear program reaches them."""

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor, nn

from tests.attacks.oracles import linear_distance, linear_largest_margin
from tutorial_pkg.attacks import minimum_distortion, second_start

NUM_INPUTS = 20
DECIDED = 1e-4  # of the logits' size, the margin from which on float32 and the linear program must agree


def random_problem(seed: int) -> tuple[nn.Linear, Tensor, Tensor]:
    """A linear classifier of a few inputs and classes, flat or steep, whose classes may lie outside the box."""
    generator = torch.Generator().manual_seed(seed)
    size, classes = torch.randint(2, 21, (2,), generator=generator).tolist()
    classes = min(classes, 10)
    model = nn.Linear(size, classes)
    steepness = 10 ** (2 * torch.rand((), generator=generator) - 1)
    model.weight.data = torch.randn(classes, size, generator=generator) * steepness
    model.bias.data = torch.randn(classes, generator=generator)
    inputs = torch.rand(NUM_INPUTS, size, generator=generator)
    return model, inputs, torch.randint(classes, (NUM_INPUTS,), generator=generator)


def reachable(model: nn.Linear, target: int) -> bool | None:
    """Whether any point of the box is in the class; None where rounding decides."""
    weight, bias = model.weight.data, model.bias.data
    margin = linear_largest_margin(weight, bias, target) / float(bias.abs().max() + weight.abs().sum(1).max())
    return None if abs(margin) < DECIDED else margin > 0


def outcomes(seeds: Iterable[int]) -> list[tuple[bool, bool]]:
    """What the linear program and the attack say of every target, where float32 can decide."""
    pairs = []
    for seed in seeds:
        model, inputs, targets = random_problem(seed)
        found = minimum_distortion(model, inputs, targets=targets)
        said = {target: reachable(model, target) for target in targets.unique().tolist()}
        pairs += [(said[t], ok) for t, ok in zip(targets.tolist(), found.success.tolist(), strict=True)]
    return [(exact, ok) for exact, ok in pairs if exact is not None]


def test_a_target_is_reached_exactly_where_the_linear_program_says_so():
    pairs = outcomes(range(38, 48))
    assert {exact for exact, _ in pairs} == {True, False}
    assert all(exact == ok for exact, ok in pairs)


def test_it_takes_the_search_that_forgets_the_distance(monkeypatch):
    monkeypatch.setattr(second_start, "MAX_ITER_REACH", 0)
    assert (True, False) in outcomes([42])


def test_a_point_that_only_that_search_finds_is_walked_to_the_nearest(monkeypatch):
    model, inputs, targets = random_problem(42)
    found = minimum_distortion(model, inputs, targets=targets)
    monkeypatch.setattr(second_start, "MAX_ITER_REACH", 0)
    new = found.success & ~minimum_distortion(model, inputs, targets=targets).success
    assert new.any()
    for x, target, norm in zip(inputs[new], targets[new], found.l2_norm[new], strict=True):
        lower, upper = linear_distance(model.weight.data, model.bias.data, x, int(target))
        assert lower * (1 - 1e-5) <= norm <= 1.02 * upper
    assert (found.c[new] > 0).all()


def test_a_near_class_that_is_not_in_the_box_takes_nothing_from_the_others():
    weight, bias = torch.tensor([[-1.0, -1.0], [1.5, 1.0], [-1.0, 1.0]]), torch.tensor([0.0, -1.0, 0.0])
    inputs, labels = torch.tensor([[0.1, 0.1]]), torch.tensor([2])
    for max_iter in (5, 30, 100, 600):
        found = minimum_distortion(lambda x: x @ weight.T + bias, inputs, labels=labels, max_iter=max_iter)
        assert found.success.all()
        assert found.l2_norm.item() == pytest.approx(0.3, rel=1e-3)


def test_untargeted_is_as_near_as_the_nearest_target_on_small_linear_models():
    missed = 0
    for seed in range(4):
        model, inputs, _ = random_problem(seed)
        own = model(inputs).argmax(1)
        untargeted = minimum_distortion(model, inputs, labels=own)
        others = [(own + shift) % model.out_features for shift in range(1, model.out_features)]
        targeted = torch.stack([minimum_distortion(model, inputs, targets=t).l2_norm for t in others]).amin(0)
        assert torch.equal(untargeted.success, targeted.isfinite())
        reached = untargeted.success
        missed += int((untargeted.l2_norm[reached] > 1.01 * targeted[reached]).sum())
    assert missed == 0


@pytest.mark.parametrize("kind", ["linear", "network", "kinked"])
def test_classes_that_never_win_keep_no_other_from_being_tried(kind, request, images):
    """Every class has a twin a little below it, in reach of nothing, and half of all classes are such twins."""
    model = request.getfixturevalue(kind)

    def twins(x: Tensor) -> Tensor:
        logits = model(x)[:, :5]
        return torch.cat((logits, logits - 0.3), dim=1)

    inputs = images[0][:8]
    labels = model(inputs)[:, :5].argmax(1)
    nearest = minimum_distortion(twins, inputs, labels=labels)
    others = [minimum_distortion(twins, inputs, targets=(labels + shift) % 5).l2_norm for shift in range(1, 5)]
    assert nearest.success.all()
    assert (nearest.targets < 5).all()
    assert (nearest.l2_norm / torch.stack(others).amin(0)).mean() < 1.01
