"""The verdicts on units and random directions follow the numbers."""

import pytest

from tests.shared import make_record
from tutorial_pkg.claims import CLAIMS, judge
from tutorial_pkg.units import OF_DIRECTIONS, STATISTICS

BY_ID = {claim.id: claim for claim in CLAIMS}
SETS = tuple(name for name in STATISTICS if name not in OF_DIRECTIONS)


def effect(delta, half_width):
    return {"delta": delta, "low": delta - half_width, "high": delta + half_width}


ALIKE, UNDECIDED = effect(0.0, 0.1), effect(0.1, 0.2)
FIRST, SECOND = effect(0.2, 0.1), effect(-0.2, 0.1)
ONE_OF_TWELVE = effect(0.2, 0.1425)  # p = 0.006: below 0.05, and above 0.05 / 12
TINY = effect(0.14, 0.05)  # surely above 0, and less than what matters


def units_records(uniform, chance):
    """What the smallest sets of the last hidden layer show; larger sets and random weights show the contrary."""

    def layer(uniform, chance):
        other = {"units-uniform": dict.fromkeys(STATISTICS, FIRST), "units-chance": dict.fromkeys(STATISTICS, SECOND)}
        shown = {"units-uniform": uniform, "units-chance": chance}
        # "16" comes before "8", but not as a number.
        return {"by_k": {"16": {"comparisons": other}, "8": {"comparisons": shown}, "32": {"comparisons": other}}}

    untrained = layer(dict.fromkeys(STATISTICS, FIRST), dict.fromkeys(STATISTICS, SECOND))
    values = {"layers": {"hidden": layer(uniform, chance), "untrained": untrained}}
    return {"units": [make_record(experiment="units", values=values)]}


def sets_with(found, count, other=ALIKE):
    return dict.fromkeys(STATISTICS, other) | dict.fromkeys(SETS[:count], found)


@pytest.mark.parametrize(
    ("uniform", "status"),
    [
        (sets_with(ALIKE, 9), "holds"),
        (sets_with(UNDECIDED, 1), "holds in part"),
        (sets_with(SECOND, 4), "holds in part"),
        (sets_with(SECOND, 5), "does not hold"),
        (sets_with(FIRST, 1), "does not hold"),
        (sets_with(ONE_OF_TWELVE, 1), "holds in part"),
        (sets_with(TINY, 1), "holds in part"),
        (sets_with(ALIKE, 9) | {"class_auc": FIRST}, "holds in part"),
    ],
)
def test_u1_asks_for_no_difference_in_any_statistic(uniform, status):
    assert judge(BY_ID["U1"], units_records(uniform, sets_with(FIRST, 9))).status == status


@pytest.mark.parametrize(
    ("chance", "status"),
    [
        (sets_with(FIRST, 9), "holds"),
        (sets_with(FIRST, 8), "holds in part"),
        (sets_with(FIRST, 5), "holds in part"),
        (sets_with(FIRST, 4), "does not hold"),
        (sets_with(SECOND, 9), "does not hold"),
        (sets_with(ONE_OF_TWELVE, 9), "does not hold"),
    ],
)
def test_u2_asks_for_more_in_common_than_random_images(chance, status):
    assert judge(BY_ID["U2"], units_records(sets_with(ALIKE, 9), chance)).status == status
