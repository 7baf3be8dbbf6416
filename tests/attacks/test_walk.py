"""The state of a walk: what belongs to a problem stays with it when others leave."""

import pytest
import torch
from torch import Tensor

from tutorial_pkg.attacks.boundary import STEP_GROWTH, _falls_behind, _move, _sufficient_decrease, walk_boundary
from tutorial_pkg.attacks.margins import Rivals
from tutorial_pkg.attacks.running import without
from tutorial_pkg.attacks.walk import Competition, Nearest, Walk

RIVALS = 2


def walk_of(count: int) -> Walk:
    """A walk of that many problems, the i-th with i in all of its fields."""
    row = torch.arange(count)
    value = row.float()
    pixels, classes = value[:, None].expand(-1, 3).clone(), value[:, None].expand(-1, 4).clone()
    vectors = value[:, None, None].expand(-1, 5, 3).clone()
    return Walk(
        row=row,
        clean=pixels,
        targets=row.clone(),
        gap=value,
        point=pixels.clone(),
        margins=classes,
        tie=value.clone(),
        rivals=row[:, None].expand(-1, RIVALS).clone(),
        multipliers=classes.clone(),
        step_length=value.clone(),
        vectors=vectors,
        scratch=torch.empty_like(vectors),
    )


@pytest.mark.parametrize("done", [[], [0], [6], [0, 6], [5, 6], [0, 1, 2], [1, 3, 4, 6], [0, 1, 2, 3, 4, 5, 6]])
def test_problems_that_stay_keep_all_that_is_theirs(done: list[int]) -> None:
    mask = torch.zeros(7, dtype=torch.bool)
    mask[done] = True
    left = without(walk_of(7), mask)
    assert sorted(left.row.tolist()) == [i for i in range(7) if i not in done]
    for name, field in vars(left).items():
        assert len(field) == len(left.row), name
        if name != "scratch":
            expected = left.row.reshape(-1, *[1] * (field.ndim - 1)).expand_as(field)
            torch.testing.assert_close(field, expected.to(field.dtype), msg=name)


def test_a_rejected_trial_halves_the_step_and_an_accepted_one_takes_its_place() -> None:
    walk, trial = walk_of(4), walk_of(8)
    walk.step_length = torch.tensor([0.5, 0.5, 1.0, 1.0])
    accepted = torch.tensor([False, True, False, True])
    result = Rivals(trial.margins[4:], trial.tie[4:], trial.rivals[4:], trial.gradients[4:].clone())
    _move(walk, trial.point[4:], result, accepted)
    assert walk.step_length.tolist() == pytest.approx([0.25, 0.5 * STEP_GROWTH, 0.5, 1.0])
    for name in ("point", "margins", "tie", "rivals", "gradients"):
        field = getattr(walk, name)
        expected = torch.tensor([0.0, 5.0, 2.0, 7.0]).reshape(-1, *[1] * (field.ndim - 1)).expand_as(field)
        torch.testing.assert_close(field, expected.to(field.dtype), msg=name)


def test_a_trial_has_to_lower_the_merit_by_a_share_of_what_the_slope_promises() -> None:
    """Where no margin is missed, the merit is ½‖r‖²: of r − s·r it is (1 − s)² of it, and its slope promises 2s of it.

    It falls by at least the share 10⁻⁴ of that where 1 − s/2 ≥ 10⁻⁴.
    """
    walk = walk_of(4)
    walk.clean, walk.point = torch.zeros(4, 3).double(), torch.ones(4, 3).double()
    walk.multipliers, walk.margins = torch.zeros(4, 4).double(), torch.ones(4, 4).double()
    walk.vectors = walk.vectors.double()
    wanted, penalty = torch.zeros(4).double(), torch.ones(4).double()
    shares = torch.tensor([1.0, 1.9997, 1.9999, 2.1], dtype=torch.float64)
    trial = walk.point * (1 - shares[:, None])
    result = Rivals(walk.margins, wanted, walk.rivals, walk.gradients)
    assert _sufficient_decrease(walk, trial, result, wanted, penalty).tolist() == [True, True, False, False]


def test_given_up_is_what_has_been_reached_far_behind_and_is_expected_to_stay_there() -> None:
    """The distance ½‖r‖² − λ·m that is expected: of five rows of an image, and one of another that competes with none.

    At a best squared distance of 1 and a slack of a half, the limit is 1.5² = 2.25.
    """
    walk = walk_of(6)
    walk.clean, walk.point = torch.zeros(6, 3), torch.zeros(6, 3)
    walk.point[:, 0] = torch.tensor([1.0, 2.0, 2.0, 2.0, 1.4, 2.0])
    walk.multipliers, walk.margins = torch.zeros(6, 4), torch.full((6, 4), torch.inf)
    walk.multipliers[:, 1] = 1.0
    walk.margins[:, 1] = torch.tensor([0.0, 1.0, -1.0, -1.0, 0.0, -1.0])
    nearest = Nearest.nothing_yet(walk.clean)
    nearest.squared_norm[:] = walk.point.square().sum(1)
    nearest.squared_norm[3] = torch.inf
    competition = Competition(torch.tensor([0, 0, 0, 0, 0, 1]), torch.full((2,), torch.inf))
    # The second is expected at 4 − 2 = 2, the third at 4 + 2 = 6; the fourth has not been reached yet.
    assert _falls_behind(walk, nearest, competition).tolist() == [False, False, True, False, False, False]


def test_a_walk_approaches_the_boundary_in_thirds_and_then_aims_beyond_it() -> None:
    """A score that is linear: every trial has just the margin aimed at, until the first success −m, then δ."""
    generator = torch.Generator().manual_seed(0)
    slope = torch.randn(20, generator=generator, dtype=torch.float64)
    clean = torch.rand(3, 20, generator=generator, dtype=torch.float64)
    clean -= ((clean @ slope + 6) / slope.square().sum())[:, None] * slope
    trials: list[Tensor] = []

    def model(x: Tensor) -> Tensor:
        score = x @ slope
        trials.append(score.detach().clone())
        return torch.stack([torch.zeros_like(score), score], dim=1)

    walk_boundary(model, clean, torch.ones(3, dtype=torch.long), box=(-torch.inf, torch.inf), max_iter=4)
    margins = torch.stack(trials[-4:])  # the model also saw the clean points
    expected = torch.tensor([[-4.0], [-2.0], [2.0], [0.0]], dtype=torch.float64).expand(4, 3)
    torch.testing.assert_close(margins, expected, rtol=0, atol=1e-3)
    assert (margins[-1] > 0).all()


def test_gradients_of_point_and_trial_are_the_last_vectors() -> None:
    walk = walk_of(3)
    walk.gradients[:] = 7.0
    walk.trial_gradients[:] = 8.0
    assert (walk.vectors == 7).sum() == 3 * RIVALS * 3
    assert (walk.vectors[:, -RIVALS:] == 7).all()
    assert (walk.scratch[:, -RIVALS:] == 8).all()
