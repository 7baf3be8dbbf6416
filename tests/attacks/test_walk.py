"""The state of a walk: what belongs to a problem stays with it when others leave."""

import pytest
import torch

from tutorial_pkg.attacks.running import without
from tutorial_pkg.attacks.walk import Walk

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


def test_gradients_of_point_and_trial_are_the_last_vectors() -> None:
    walk = walk_of(3)
    walk.gradients[:] = 7.0
    walk.trial_gradients[:] = 8.0
    assert (walk.vectors == 7).sum() == 3 * RIVALS * 3
    assert (walk.vectors[:, -RIVALS:] == 7).all()
    assert (walk.scratch[:, -RIVALS:] == 8).all()
