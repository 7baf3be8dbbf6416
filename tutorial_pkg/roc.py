"""How well scores tell two classes apart: the area under the ROC curve, with DeLong's intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % confidence interval, cut off at the least and the largest value there can be."""

    value: float
    low: float
    high: float


def auc(scores: ArrayLike, labels: ArrayLike) -> Interval:
    """Return the area under the ROC curve: how often a positive scores above a negative, ties counting half.

    Args:
        scores: `[N]`, finite, larger for what looks positive.
        labels: `[N]`, 0 or 1 (or bool), both present.

    Raises:
        ValueError: no score a label, a score that is not finite, another label, or only one class.

    Example:
        >>> auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]).value
        0.75
    """
    return _interval(*_placements(scores, labels), least=0.0)


def auc_difference(scores: ArrayLike, other_scores: ArrayLike, labels: ArrayLike) -> Interval:
    """Return the first area minus the second, on the same images; the interval takes their correlation into account.

    Args:
        scores: `[N]`, as for `auc`.
        other_scores: `[N]`, of the same images.
        labels: `[N]`, as for `auc`.

    Raises:
        ValueError: as for `auc`.

    Source: DeLong, DeLong & Clarke-Pearson (1988), Biometrics 44, 837–845.
    """
    first, second = _placements(scores, labels), _placements(other_scores, labels)
    return _interval(first[0] - second[0], first[1] - second[1], least=-1.0)


def balanced_accuracy(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the mean of the two classes' shares of right answers, above 0 meaning positive; guessing gets a half.

    Args:
        scores: `[N]`, as for `auc`.
        labels: `[N]`, as for `auc`.

    Raises:
        ValueError: as for `auc`.

    Example:
        >>> balanced_accuracy([1.0, -1.0, -1.0, -1.0], [1, 1, 0, 0])
        0.75
    """
    values, positive = _checked(scores, labels)
    return float((values[positive] > 0).mean() + (values[~positive] <= 0).mean()) / 2


def _placements(scores: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return, for every positive, the share of negatives below it, and for every negative that of positives above."""
    values, positive = _checked(scores, labels)
    above, below = values[positive][:, None], values[~positive][None, :]
    wins = (above > below) + 0.5 * (above == below)
    return wins.mean(axis=1), wins.mean(axis=0)


def _interval(of_positives: np.ndarray, of_negatives: np.ndarray, *, least: float) -> Interval:
    value = float(of_positives.mean())
    variances = [
        float(part.var(ddof=1)) / len(part) if len(part) > 1 else np.inf for part in (of_positives, of_negatives)
    ]
    half = float(norm.ppf(0.975)) * float(np.sqrt(sum(variances)))
    return Interval(value, max(value - half, least), min(value + half, 1.0))


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    values, classes = np.asarray(scores, dtype=float), np.asarray(labels)
    if values.ndim != 1 or values.shape != classes.shape:
        raise ValueError(f"expected one score a label, got shapes {values.shape} and {classes.shape}")
    finite = np.isfinite(values)
    if not finite.all():
        raise ValueError(
            f"scores: expected finite numbers, got NaN or infinity in {(~finite).sum()} of {len(values)}; check the "
            "model, or leave these out together with their labels"
        )
    others = classes[~np.isin(classes, (0, 1))]
    if len(others):
        raise ValueError(f"labels: expected only 0 and 1, got {others[0]}; pass `labels == the_positive_class`")
    positive = classes == 1
    if positive.all() or not positive.any():
        raise ValueError(f"expected both classes, got {int(positive.sum())} positives of {len(positive)}")
    return values, positive
