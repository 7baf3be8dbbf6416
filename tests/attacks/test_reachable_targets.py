"""Targets that fill only a corner of the box, or none of it: reached wherever a linear program reaches them."""

from collections.abc import Iterable

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
