import numpy as np
import pytest
import torch
from scipy.stats import kstest

from tutorial_pkg.units import cliffs_delta, compare, pooled, verdict


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_cliffs_delta_counts_pairs():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 5, (3, 20)), rng.integers(1, 6, (3, 30))
    pairs = np.sign(first[:, :, None] - second[:, None, :]).mean((1, 2))
    assert cliffs_delta(first, second) == pytest.approx(pairs)
    assert cliffs_delta(first.T, second.T, axis=0) == pytest.approx(pairs)


def test_separate_samples_are_told_apart_in_both_directions():
    high, low = torch.rand(30, generator=seeded()) + 2, torch.rand(40, generator=seeded(1))
    result = compare(high, low, generator=seeded(), num_resamples=199)
    assert (result.delta, result.low, result.high, result.p_value) == (1, 1, 1, 0.01)
    assert compare(low, high, generator=seeded(), num_resamples=199).delta == -1


def test_under_the_null_p_values_are_uniform_and_intervals_cover_0():
    generator = seeded()
    results = [
        compare(
            torch.randn(20, generator=generator),
            torch.randn(25, generator=generator),
            generator=generator,
            num_resamples=199,
        )
        for _ in range(200)
    ]
    assert kstest([r.p_value for r in results], "uniform").pvalue > 1e-3
    assert np.mean([r.low <= 0 <= r.high for r in results]) == pytest.approx(0.95, abs=0.05)


def test_interval_covers_the_true_delta():
    # P(X + 1 > Y) for standard normals is Φ(1/√2) = 0.7602.
    generator, true = seeded(), 2 * 0.7602 - 1
    covered = [
        (
            r := compare(
                1 + torch.randn(40, generator=generator),
                torch.randn(40, generator=generator),
                generator=generator,
                num_resamples=199,
            )
        ).low
        <= true
        <= r.high
        for _ in range(100)
    ]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.06)


def test_only_the_order_of_the_values_counts():
    first, second = torch.randn(15, generator=seeded()) + 0.5, torch.randn(20, generator=seeded(1))
    plain, stretched = (
        compare(f(first), f(second), generator=seeded(2)) for f in (lambda x: x, lambda x: (4 * x).exp())
    )
    assert plain == stretched


def test_equal_constants_do_not_differ():
    result = compare(torch.ones(10), torch.ones(10), generator=seeded(), num_resamples=99)
    assert (result.delta, result.low, result.high, result.p_value) == (0, 0, 0, 1)


def test_the_generator_decides():
    samples = torch.rand(20, generator=seeded()), torch.rand(20, generator=seeded(1))
    first, again = (compare(*samples, generator=seeded(5), num_resamples=99) for _ in range(2))
    assert first == again
    assert first != compare(*samples, generator=seeded(6), num_resamples=99)


@pytest.mark.parametrize("bad", [torch.ones(1), torch.ones(3, 3), torch.tensor([1.0, torch.nan, 2.0])])
def test_bad_samples_are_named(bad):
    with pytest.raises(ValueError, match="at least two finite values as the second sample"):
        compare(torch.rand(5), bad, generator=seeded())


def test_pooling_narrows_the_interval_by_the_root_of_the_networks():
    mean, low, high = pooled([(0.1, -0.1, 0.3)] * 4)
    assert (mean, low, high) == pytest.approx((0.1, 0.0, 0.2))
    assert pooled([(1.0, 0.9, 1.0)])[2] == 1.0
    assert pooled([(-1.0, -1.0, -0.9)])[1] == -1.0


def test_verdict_needs_the_whole_interval():
    assert verdict(-0.14, 0.14) == "negligible"
    assert verdict(-0.16, 0.01) == "undecided"
    assert verdict(0.001, 0.1) == "negligible"  # different, and too little to matter
    assert verdict(-0.4, -0.1) == "second"
    assert (verdict(0.0, 0.4), verdict(-0.4, 0.0)) == ("undecided", "undecided")
    assert (verdict(-0.1, 0.146), verdict(-0.1, 0.147)) == ("negligible", "undecided")
