"""Is one kind of direction better than another: Cliff's delta, its interval, and a permutation test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from scipy.stats import bootstrap, permutation_test, rankdata
from torch import Tensor

NEGLIGIBLE = 0.147
"""|δ| below this is called negligible (Romano et al., 2006)."""

Verdict = Literal["first", "second", "negligible", "undecided"]


@dataclass(frozen=True)
class Comparison:
    """Of two samples of one statistic.

    Attributes:
        delta: Cliff's δ = P(first > second) − P(first < second), from −1 to 1.
        low: lower end of its 95 % bootstrap interval.
        high: upper end of that interval.
        p_value: of the two-sided permutation test of δ; at least 2 / (resamples + 1).
    """

    delta: float
    low: float
    high: float
    p_value: float


def verdict(low: float, high: float) -> Verdict:
    """Say what an interval of δ supports: "negligible" if all of it is, else "first" or "second" if it excludes 0.

    A test that finds no difference does not show that there is none; an interval inside the negligible range does.

    Example:
        >>> verdict(-0.1, 0.12), verdict(0.02, 0.3), verdict(-0.1, 0.3)
        ('negligible', 'first', 'undecided')
    """
    if max(abs(low), abs(high)) < NEGLIGIBLE:
        return "negligible"
    if low > 0:
        return "first"
    return "second" if high < 0 else "undecided"


def pooled(effects: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Average δ over independent networks: its mean, and a 95 % interval for that mean.

    The networks are taken as given: the interval is about other directions in these networks.

    Args:
        effects: (δ, low, high) of each network.

    Example:
        >>> [round(value, 3) for value in pooled([(0.2, 0.1, 0.3), (0.4, 0.3, 0.5)])]
        [0.3, 0.229, 0.371]
    """
    deltas, lows, highs = np.array(effects).T
    half_width = float(np.sqrt(np.square((highs - lows) / 2).sum()) / len(deltas))
    mean = float(deltas.mean())
    return mean, max(-1.0, mean - half_width), min(1.0, mean + half_width)


def cliffs_delta(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return Cliff's δ along an axis; equal values count for neither side.

    Args:
        first: a sample.
        second: another, of the same shape but for their sizes along the axis.
        axis: along which the samples are.

    Returns:
        P(first > second) − P(first < second), in [−1, 1]; the axis is gone.

    Example:
        >>> float(cliffs_delta(np.array([3.0, 4.0]), np.array([1.0, 3.0])))
        0.75
    """
    first, second = np.moveaxis(first, axis, -1), np.moveaxis(second, axis, -1)
    n, m = first.shape[-1], second.shape[-1]
    ranks = rankdata(np.concatenate([first, second], axis=-1), axis=-1)
    return np.asarray((ranks[..., :n].mean(-1) - ranks[..., n:].mean(-1)) * 2 / (n + m))


def compare(first: Tensor, second: Tensor, *, generator: torch.Generator, num_resamples: int = 1999) -> Comparison:
    """Compare two samples of independent values.

    Args:
        first: finite values `[n]`, at least two.
        second: finite values `[m]`, at least two.
        generator: decides permutations and bootstrap samples.
        num_resamples: permutations, and bootstrap samples.

    Raises:
        ValueError: a sample that is not one-dimensional, too small or not finite.

    Example:
        >>> high, low = torch.arange(10.0) + 5, torch.arange(10.0)
        >>> result = compare(high, low, generator=torch.Generator().manual_seed(0), num_resamples=999)
        >>> round(result.delta, 2), result.p_value < 0.01, verdict(result.low, result.high)
        (0.75, True, 'first')
    """
    for name, sample in (("first", first), ("second", second)):
        if sample.ndim != 1 or len(sample) < 2 or not torch.isfinite(sample).all():
            raise ValueError(f"expected at least two finite values as the {name} sample, got {tuple(sample.shape)}")
    rng = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    samples = (first.double().numpy(), second.double().numpy())
    n = len(first)
    # δ is linear in the ranks of the pooled sample, and a permutation leaves those as they are.
    ranks = rankdata(np.concatenate(samples))
    test = permutation_test(
        (ranks[:n], ranks[n:]),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        vectorized=True,
        n_resamples=num_resamples,
        batch=1000,
        random_state=rng,
    )
    interval = bootstrap(
        samples,
        cliffs_delta,
        vectorized=True,
        n_resamples=num_resamples,
        method="percentile",
        random_state=rng,
    ).confidence_interval
    return Comparison(
        delta=float(cliffs_delta(*samples)),
        low=float(interval.low),
        high=float(interval.high),
        p_value=float(test.pvalue),
    )


def compare_statistics(
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
    signs: Mapping[str, int],
    *,
    generator: torch.Generator,
    num_resamples: int = 1999,
) -> dict[str, dict[str, float]]:
    """Compare two kinds of sets by every statistic that both have; δ > 0 says that the first has more in common.

    Args:
        first: name → a value a set, `[n]`.
        second: likewise, `[m]`.
        signs: name → whether more of it (1) or less of it (−1) means more in common. No other names count.
        generator: for `compare`, as is `num_resamples`.

    Returns:
        Name → the fields of a `Comparison`.

    Example:
        >>> near, far = {"distance": torch.arange(10.0)}, {"distance": torch.arange(10.0) + 5}
        >>> found = compare_statistics(near, far, {"distance": -1, "purity": 1}, generator=torch.Generator())
        >>> {name: round(comparison["delta"], 2) for name, comparison in found.items()}
        {'distance': 0.75}
    """
    return {
        name: asdict(compare(sign * first[name], sign * second[name], generator=generator, num_resamples=num_resamples))
        for name, sign in signs.items()
        if name in first and name in second
    }
