"""Pairs of models: how alike their perturbations are, and how sure that is by a bootstrap over the images."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import DegenerateDataWarning, bootstrap, spearmanr
from torch import Tensor

from tutorial_pkg.transfer import TransferTable, perturbation_cosine, reach

MEASURES = ("cosine", "reach", "transfer")
NUM_RESAMPLES = 999


@dataclass(frozen=True)
class Pairs:
    """What is known of the pairs, an array `[source, target]` a measure.

    Attributes:
        estimate: the mean cosine between two models' perturbations, the median reach, and the transfer of the
            smallest perturbations among the images that the target model had right.
        low, high: ends of the 95 % intervals of the percentile bootstrap over images.
        rank_correlation: Spearman's of the cosine and of the reach with the transfer, over the ordered pairs of
            different models: "rho", "low" and "high"; NaN where one of the two does not vary.
    """

    estimate: Mapping[str, np.ndarray]
    low: Mapping[str, np.ndarray]
    high: Mapping[str, np.ndarray]
    rank_correlation: Mapping[str, Mapping[str, float]]


def compare_pairs(
    inputs: Tensor, adv_inputs: Mapping[str, Tensor], tables: Mapping[str, TransferTable], row: str, *, seed: int
) -> Pairs:
    """Compare every model's examples with every other's.

    Args:
        adv_inputs: the examples made for each model.
        tables: for each source model, who errs on what; its columns are all models.
        row: of those tables that holds the smallest perturbations.
        seed: of the resampling.
    """
    names = list(adv_inputs)
    by_image = np.stack(
        [
            [[perturbation_cosine(inputs, adv_inputs[a], adv_inputs[b]).cpu().numpy() for b in names] for a in names],
            [[reach(inputs, adv_inputs[a], adv_inputs[b]).cpu().numpy() for b in names] for a in names],
            [[_wrong(tables[a], row, b) for b in names] for a in names],
        ]
    )

    def statistics(images: np.ndarray) -> np.ndarray:
        chosen = by_image[..., images]
        matrices = np.stack([_mean(chosen[0]), np.nanmedian(chosen[1], axis=-1), _mean(chosen[2])])
        return np.append(matrices, [_rank_correlation(matrix, matrices[2]) for matrix in matrices[:2]])

    images = np.arange(by_image.shape[-1])
    with warnings.catch_warnings():
        # Where pairs have no order, their rank correlation is NaN; that is known and no reason to warn.
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            (images,),
            statistics,
            vectorized=False,
            n_resamples=NUM_RESAMPLES,
            method="percentile",
            random_state=np.random.default_rng(seed),
        )
    whole = [statistics(images), found.confidence_interval.low, found.confidence_interval.high]
    estimate, low, high = (
        dict(zip(MEASURES, numbers[:-2].reshape(by_image.shape[:-1]), strict=True)) for numbers in whole
    )
    rho = {
        measure: dict(zip(("rho", "low", "high"), (float(numbers[i]) for numbers in whole), strict=True))
        for measure, i in (("cosine", -2), ("reach", -1))
    }
    return Pairs(estimate, low, high, rho)


def off_diagonal(matrix: np.ndarray) -> np.ndarray:
    """Return the entries [source, target, ...] of different models, pair by pair."""
    return matrix[~np.eye(len(matrix), dtype=bool)]


def cosines_of_other_images(
    inputs: Tensor, adv_first: Tensor, adv_second: Tensor, labels: Tensor, targets: Tensor
) -> dict[str, float]:
    """Return the mean cosine between one model's perturbation for an image and another's for another image.

    Two controls for what models have in common: the other image is any, or one of the same class led to the same
    target. An image that is the only one of its kind does not count.
    """
    kind = torch.stack((labels, targets), dim=1).unique(dim=0, return_inverse=True)[1]
    cosines = {}
    for name, group in (("other_images", torch.zeros_like(kind)), ("same_class_and_target", kind)):
        partner = torch.arange(len(group), device=group.device)
        for member in group.unique():
            rows = (group == member).nonzero()[:, 0]
            partner[rows] = rows.roll(1)
        elsewhere = inputs + (adv_second - inputs)[partner]
        has_partner = partner != torch.arange(len(group), device=group.device)
        cosine = perturbation_cosine(inputs, adv_first, elsewhere)[has_partner]
        cosines[f"cosine_of_{name}"] = float(cosine.nanmean())
    return cosines


def hull(lows: Sequence[np.ndarray], highs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest intervals that cover those of every seed."""
    return np.min(lows, axis=0), np.max(highs, axis=0)


def _wrong(table: TransferTable, row: str, column: str) -> np.ndarray:
    """Return 1 for each image that the column's model errs on, NaN where it did so before."""
    j = table.columns.index(column)
    wrong = table.wrong[table.rows.index(row), j].cpu().double().numpy()
    return np.where(table.wrong_before[j].cpu().numpy(), np.nan, wrong)


def _mean(by_image: np.ndarray) -> np.ndarray:
    """Return the mean over the images that count; NaN, without a warning, where none does."""
    counts = (~np.isnan(by_image)).sum(axis=-1)
    return np.where(counts > 0, np.nansum(by_image, axis=-1) / np.maximum(counts, 1), np.nan)


def _rank_correlation(measure: np.ndarray, transfer: np.ndarray) -> float:
    pairs = off_diagonal(measure), off_diagonal(transfer)
    if min(map(np.ptp, pairs)) == 0:  # no order, no correlation
        return math.nan
    return float(spearmanr(*pairs).statistic)
