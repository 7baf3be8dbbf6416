import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist
from scipy.stats import entropy as scipy_entropy
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from tutorial_pkg.units import (
    class_auc,
    class_share,
    entropy,
    mean_pairwise_distance,
    purity,
    rank_correlation,
    relative_spread,
    without_class_means,
)

GENERATOR = torch.Generator().manual_seed(0)
LABELS = torch.randint(0, 4, (200,), generator=GENERATOR)
SCORES = (torch.randn(200, 5, generator=GENERATOR) + LABELS[:, None]).round()  # rounded, for ties
SETS = torch.stack([torch.randperm(200, generator=GENERATOR)[:9] for _ in range(30)])


def test_purity_and_entropy_of_every_set():
    for labels, share, bits in zip(LABELS[SETS], purity(LABELS[SETS]), entropy(LABELS[SETS]), strict=True):
        counts = np.bincount(labels)
        assert float(share) == pytest.approx(counts.max() / 9)
        assert float(bits) == pytest.approx(scipy_entropy(counts, base=2), abs=1e-6)


def test_mean_pairwise_distance_is_scipy_s():
    points = torch.randn(200, 1, 3, 4, generator=GENERATOR)
    expected = [pdist(points[one].flatten(1).numpy()).mean() for one in SETS]
    assert mean_pairwise_distance(points, SETS).numpy() == pytest.approx(np.array(expected), rel=1e-5)


def test_relative_spread_is_one_for_all_images_and_zero_for_equal_ones():
    values = torch.rand(50, generator=GENERATOR)
    assert relative_spread(values, torch.arange(50)[None]).item() == pytest.approx(1)
    assert relative_spread(values, torch.zeros(1, 5, dtype=torch.long)).item() == 0


def test_without_class_means_leaves_no_class_mean():
    left = without_class_means(SCORES[:, 0], LABELS)
    for label in range(4):
        assert left[label == LABELS].mean().item() == pytest.approx(0, abs=1e-5)


def test_class_auc_is_scikit_learn_s():
    ours = class_auc(SCORES, LABELS)
    for direction in range(5):
        for label in range(4):
            expected = roc_auc_score(label == LABELS, SCORES[:, direction])
            assert float(ours[direction, label]) == pytest.approx(expected, abs=1e-6)


def test_class_share_is_the_squared_correlation_with_the_class():
    ours = class_share(SCORES, LABELS)
    for label in range(4):
        expected = np.corrcoef(SCORES[:, 2], label == LABELS)[0, 1] ** 2
        assert float(ours[2, label]) == pytest.approx(expected, abs=1e-5)
    assert class_share(torch.ones(200, 1), LABELS).max() == 0


def test_rank_correlation_is_spearman_s_and_0_for_constants():
    factors = torch.cat([torch.randn(200, 2, generator=GENERATOR) + SCORES[:, :2], torch.ones(200, 1)], dim=1)
    ours = rank_correlation(SCORES, factors)
    for direction in range(5):
        for factor in range(2):
            expected = spearmanr(SCORES[:, direction], factors[:, factor]).statistic
            assert float(ours[direction, factor]) == pytest.approx(expected, abs=1e-6)
    assert ours[:, 2].abs().max() == 0
