"""Areas under ROC curves against scikit-learn's, and their intervals against the bootstrap."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from tutorial_pkg.roc import auc, auc_difference, balanced_accuracy


def two_scores(seed=0, positives=60, negatives=400):
    """Two correlated scores, the first better than the second."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([1, 0], [positives, negatives])
    common = generator.normal(size=len(labels))
    first = common + 1.5 * labels + 0.5 * generator.normal(size=len(labels))
    second = common + 0.7 * labels + 0.5 * generator.normal(size=len(labels))
    return first, second, labels


def test_area_is_scikit_learns_with_ties_too():
    first, _, labels = two_scores()
    for scores in (first, np.round(first)):
        assert auc(scores, labels).value == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_balanced_accuracy_is_scikit_learns():
    first, _, labels = two_scores()
    assert balanced_accuracy(first, labels) == pytest.approx(balanced_accuracy_score(labels, first > 0))


def test_intervals_agree_with_the_bootstrap():
    first, second, labels = two_scores()
    generator = np.random.default_rng(1)
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    areas, gaps = [], []
    for _ in range(400):
        rows = np.concatenate([generator.choice(part, len(part)) for part in (positive, negative)])
        pair = [auc(scores[rows], labels[rows]).value for scores in (first, second)]
        areas.append(pair[0])
        gaps.append(pair[0] - pair[1])
    for interval, draws in ((auc(first, labels), areas), (auc_difference(first, second, labels), gaps)):
        assert interval.high - interval.low == pytest.approx(2 * 1.96 * np.std(draws), rel=0.15)
        assert interval.low < interval.value < interval.high


def delong_half_width(labels, *scores):
    """DeLong, DeLong and Clarke-Pearson's equations 4 and 5 for one area, or for the first minus the second."""
    signs, variance = (1, -1), 0.0
    for positive in (True, False):
        components = []
        for values in scores:
            mine, others = values[(labels == 1) == positive], values[(labels == 1) != positive]
            sides = np.sign(mine[:, None] - others) * (1 if positive else -1)
            components.append((1 + sides).mean(1) / 2)
        covariance = np.atleast_2d(np.cov(components, ddof=1))
        contrast = np.array(signs[: len(scores)])
        variance += contrast @ covariance @ contrast / len(components[0])
    return 1.959964 * np.sqrt(variance)


def test_intervals_are_delongs():
    first, second, labels = two_scores(positives=7, negatives=11)
    first, second = np.round(first), np.round(second)  # for ties
    for interval, scores in ((auc(first, labels), [first]), (auc_difference(first, second, labels), [first, second])):
        assert interval.value - interval.low == pytest.approx(delong_half_width(labels, *scores), rel=1e-6)


def test_a_score_of_zero_is_a_negative_answer():
    assert balanced_accuracy([1.0, 0.0, 0.0, 0.0], [1, 1, 0, 0]) == 0.75


def test_correlation_makes_the_interval_of_a_difference_narrow():
    first, second, labels = two_scores()
    shuffled = np.concatenate([np.random.default_rng(2).permutation(second[labels == label]) for label in (1, 0)])
    assert auc_difference(first, second, labels).value == pytest.approx(auc_difference(first, shuffled, labels).value)
    paired, unpaired = (auc_difference(first, other, labels) for other in (second, shuffled))
    assert paired.high - paired.low < unpaired.high - unpaired.low


def test_no_difference():
    first, _, labels = two_scores()
    gap = auc_difference(first, 2 * first + 1, labels)
    assert gap.value == gap.low == gap.high == 0


def test_intervals_stay_where_areas_and_their_differences_can_be():
    labels = [0, 0, 0, 1, 1]
    near, far = [0.1, 0.3, 0.2, 0.25, 0.4], [0.4, 0.1, 0.3, 0.2, 0.0]
    for scores in (near, far):
        interval = auc(scores, labels)
        assert 0 <= interval.low <= interval.value <= interval.high <= 1
    for first, second in ((near, far), (far, near)):
        gap = auc_difference(first, second, labels)
        assert -1 <= gap.low <= gap.value <= gap.high <= 1
    lonely = auc([0.1, 0.3, 0.2], [0, 0, 1])
    assert (lonely.low, lonely.value, lonely.high) == (0, 0.5, 1)
    gap = auc_difference([0.1, 0.3, 0.2], [0.1, 0.2, 0.3], [0, 0, 1])
    assert (gap.low, gap.value, gap.high) == (-1, -0.5, 1)


def test_labels_may_be_bool_or_float():
    first, second, labels = two_scores()
    for same in (labels == 1, labels.astype(float), labels.tolist()):
        assert auc(first, same) == auc(first, labels)
        assert auc_difference(first, second, same) == auc_difference(first, second, labels)
        assert balanced_accuracy(first, same) == balanced_accuracy(first, labels)


@pytest.mark.parametrize("score", [auc, balanced_accuracy, lambda s, y: auc_difference([1, 2, 3, 4], s, y)])
def test_scores_and_labels_that_mean_nothing_are_refused(score):
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match=r"scores: expected finite numbers, got NaN or infinity in 1 of 4"):
            score([0.1, bad, 0.3, 0.4], [0, 0, 1, 1])
    for labels, first in (([1, 1, 2, 2], "2"), ([0, 1, 2, 1], "2"), ([-1, 1, 1, -1], "-1"), ([0, 1, np.nan, 0], "nan")):
        with pytest.raises(ValueError, match=f"labels: expected only 0 and 1, got {first}; pass"):
            score([0.1, 0.2, 0.3, 0.4], labels)


def test_bad_input():
    with pytest.raises(ValueError, match="expected both classes, got 2 positives of 2"):
        auc([0.1, 0.2], [1, 1])
    with pytest.raises(ValueError, match="one score a label"):
        auc([0.1, 0.2], [1, 0, 1])
