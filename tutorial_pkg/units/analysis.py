"""Beyond looking: every statistic of section 3's question, for units, for other directions, and for chance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from tutorial_pkg.units.directions import live_units, principal_directions, random_directions
from tutorial_pkg.units.sets import (
    class_auc,
    class_share,
    entropy,
    mean_pairwise_distance,
    purity,
    rank_correlation,
    relative_spread,
    without_class_means,
)
from tutorial_pkg.units.strokes import StrokeStatistics, stroke_statistics

STATISTICS = {
    "purity": 1,
    "entropy": -1,
    "pixel_distance": -1,
    "feature_distance": -1,
    "slant_spread": -1,
    "width_spread": -1,
    "aspect_spread": -1,
    "style_spread": -1,
    "holes_agreement": 1,
    "class_auc": 1,
    "class_share": 1,
    "style_correlation": 1,
}
"""Name → whether more of it (1) or less of it (−1) means more in common. The last three are about directions and use
all images."""

OF_DIRECTIONS = ("class_auc", "class_share", "style_correlation")
STYLE = ("slant", "width", "aspect")


@dataclass(frozen=True)
class ImageSet:
    """Images and what is known about each.

    Attributes:
        inputs: the images.
        labels: their classes.
        strokes: see `stroke_statistics`.
    """

    inputs: Float[Tensor, "images channels height width"]
    labels: Int[Tensor, " images"]
    strokes: StrokeStatistics

    @classmethod
    def measure(cls, inputs: Float[Tensor, "images 1 height width"], labels: Int[Tensor, " images"]) -> ImageSet:
        """Measure the strokes of the images."""
        return cls(inputs, labels, stroke_statistics(inputs))

    @property
    def style(self) -> Float[Tensor, "images factors"]:
        """Slant, stroke width and aspect, each less its class's mean: what the class does not tell."""
        return torch.stack([without_class_means(getattr(self.strokes, s), self.labels) for s in STYLE], dim=1)


def scores_by_kind(
    features: Float[Tensor, "images units"], count: int, *, k: int, generator: torch.Generator
) -> dict[str, Float[Tensor, "images directions"]]:
    """Return ⟨φ(x), v⟩ of every image for up to `count` directions v of each kind.

    The kinds are "units", drawn from those that single out a top-k set (`live_units`); "uniform" and
    "nonnegative" random directions; "principal" components; and "chance", scores that are pure noise, whose
    top sets are random images.

    Args:
        features: φ(x), a row an image.
        count: directions of a kind at most; of principal components there are no more than units or images.
        k: size of the top sets that a unit has to be able to single out.
        generator: draws units, directions and noise.

    Returns:
        Kind → scores, a column a direction.

    Raises:
        ValueError: fewer than two units are live.
    """
    num_images, dim = features.shape
    live = live_units(features, k).nonzero()[:, 0]
    if len(live) < 2:
        raise ValueError(f"only {len(live)} of {dim} units exceed their minimum on {k} images; lower k")
    units = live[torch.randperm(len(live), generator=generator)[:count]]
    uniform = random_directions(count, dim, generator=generator)
    nonnegative = random_directions(count, dim, generator=generator, nonnegative=True)
    principal = principal_directions(features, min(count, *features.shape))
    return {
        "units": features[:, units],
        "uniform": features @ uniform.T,
        "nonnegative": features @ nonnegative.T,
        "principal": features @ principal.T,
        "chance": torch.randn(num_images, count, generator=generator),
    }


def class_matched_sets(
    sets: Int[Tensor, "sets k"], labels: Int[Tensor, " images"], generator: torch.Generator
) -> Int[Tensor, "sets k"]:
    """Return sets of random images with the same classes: what the class alone makes images share.

    Args:
        sets: indices of images, a row a set.
        labels: of all images.
        generator: draws the images; no set gets one twice.
    """
    matched = torch.empty_like(sets)
    for label in labels[sets].unique():
        place = labels[sets] == label
        members = (labels == label).nonzero()[:, 0]
        # An order per set, so that no set has an image twice.
        order = torch.rand(len(sets), len(members), generator=generator).argsort(1)[:, : sets.shape[1]]
        rank = (place.cumsum(1) - 1).clamp_min(0)
        matched[place] = members[order.gather(1, rank)[place]]
    return matched


def set_statistics(
    sets: Int[Tensor, "sets k"], features: Float[Tensor, "images units"], images: ImageSet
) -> dict[str, Float[Tensor, " sets"]]:
    """Return what the images of each set have in common: `STATISTICS` but the last three, which `Profile` has.

    Args:
        sets: indices of images, a row a set.
        features: of all images; distances in them are Euclidean.
        images: all images, with what is known of them.

    Returns:
        Statistic → a number a set. Entropy is in bits; spreads are relative to that of all images.
    """
    strokes, style = images.strokes, images.style
    spreads = {f"{name}_spread": relative_spread(getattr(strokes, name), sets) for name in STYLE}
    within = torch.stack([relative_spread(style[:, i], sets) for i in range(len(STYLE))])
    return {
        "purity": purity(images.labels[sets]),
        "entropy": entropy(images.labels[sets]),
        "pixel_distance": mean_pairwise_distance(images.inputs, sets),
        "feature_distance": mean_pairwise_distance(features, sets),
        **spreads,
        "style_spread": within.mean(0),
        "holes_agreement": purity(strokes.holes[sets]),
    }


@dataclass(frozen=True)
class Profile:
    """What each direction alone tells about any image, not only about the top ones.

    Attributes:
        class_auc: see `sets.class_auc`.
        class_share: see `sets.class_share`.
        style_correlation: absolute rank correlation with slant, width and aspect within a class.
    """

    class_auc: Float[Tensor, "directions classes"]
    class_share: Float[Tensor, "directions classes"]
    style_correlation: Float[Tensor, "directions factors"]

    @classmethod
    def measure(cls, scores: Float[Tensor, "images directions"], images: ImageSet) -> Profile:
        """Measure directions by their scores."""
        return cls(
            class_auc(scores, images.labels),
            class_share(scores, images.labels),
            rank_correlation(scores, images.style).abs(),
        )

    def of_directions(self) -> dict[str, Float[Tensor, " directions"]]:
        """Return the last three of `STATISTICS`: of the class, or the style, that a direction tells most about."""
        return {name: getattr(self, name).amax(1) for name in OF_DIRECTIONS}

    def of_factors(self, count: int) -> dict[str, float]:
        """Return what the best of the first `count` directions tells about each factor.

        For a class the area under the ROC curve and the share of variance, each class with its own best direction,
        averaged over the classes.
        """
        best = {name: getattr(self, name)[:count].amax(0) for name in OF_DIRECTIONS}
        return _factors(best["class_auc"], best["class_share"], best["style_correlation"])


def joint_readout(scores: Float[Tensor, "images directions"], images: ImageSet) -> dict[str, float]:
    """Return the same for the best linear combination of the directions: ridge regression, cross-validated."""
    onehot = torch.nn.functional.one_hot(images.labels).float()
    targets = torch.cat([onehot, images.style / images.style.std(0)], dim=1)
    model = make_pipeline(StandardScaler(), Ridge(alpha=10.0))
    predicted = torch.from_numpy(cross_val_predict(model, scores.numpy(), targets.numpy(), cv=5)).float()
    profile = Profile.measure(predicted, images)
    classes = onehot.shape[1]
    return _factors(
        profile.class_auc.diagonal(), profile.class_share.diagonal(), profile.style_correlation[classes:].diagonal()
    )


def _factors(auc: Tensor, share: Tensor, style: Tensor) -> dict[str, float]:
    classes = {"class_auc": float(auc.mean()), "class_share": float(share.mean())}
    return classes | dict(zip(STYLE, style.tolist(), strict=True))
