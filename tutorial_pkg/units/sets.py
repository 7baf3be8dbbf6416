"""How much the images of a set have in common, and what a direction tells about an image."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import rankdata
from torch import Tensor


def purity(values: Int[Tensor, "sets k"]) -> Float[Tensor, " sets"]:
    """Return the share of each set's commonest value, from 1/k to 1.

    Example:
        >>> purity(torch.tensor([[5, 5, 5, 0], [1, 2, 3, 4]]))
        tensor([0.7500, 0.2500])
    """
    return _counts(values).amax(1) / values.shape[1]


def entropy(values: Int[Tensor, "sets k"]) -> Float[Tensor, " sets"]:
    """Return the entropy of each set's values in bits, from 0 to log2(k).

    Example:
        >>> entropy(torch.tensor([[5, 5, 5, 5], [1, 2, 3, 4]]))
        tensor([0., 2.])
    """
    shares = _counts(values) / values.shape[1]
    return torch.special.entr(shares).sum(1) / np.log(2)


def mean_pairwise_distance(
    points: Float[Tensor, "images *shape"], sets: Int[Tensor, "sets k"]
) -> Float[Tensor, " sets"]:
    """Return the Euclidean distance between two images of a set, averaged over all its pairs.

    Args:
        points: pixels or features of all images.
        sets: k ≥ 2 images a set.
    """
    k = sets.shape[1]
    flat = points.flatten(1)
    # One set at a time: all sets together need sets·k·units floats.
    return torch.stack([torch.nn.functional.pdist(flat[one]).sum() for one in sets]) / (k * (k - 1) / 2)


def relative_spread(values: Float[Tensor, " images"], sets: Int[Tensor, "sets k"]) -> Float[Tensor, " sets"]:
    """Return the standard deviation inside each set over that of all images: about 1 for random sets."""
    return values[sets].std(1) / values.std()


def without_class_means(values: Float[Tensor, " images"], labels: Int[Tensor, " images"]) -> Float[Tensor, " images"]:
    """Return the values less their class's mean: what is left to vary among images of one class."""
    sizes = torch.bincount(labels)
    means = torch.bincount(labels, weights=values) / sizes.clamp_min(1)
    return values - means.to(values.dtype)[labels]


def class_auc(
    scores: Float[Tensor, "images directions"], labels: Int[Tensor, " images"]
) -> Float[Tensor, "directions classes"]:
    """Return how well each direction alone tells each class from the rest: the area under the ROC curve.

    It is the probability that a random image of the class scores higher than a random other image: 1 is
    perfect, 1/2 is chance. All images count, not only the top ones.

    Args:
        scores: ⟨φ(x), v⟩.
        labels: from 0 to the number of classes less 1, each present.
    """
    onehot = torch.nn.functional.one_hot(labels).double()
    inside = onehot.sum(0)
    ranks = torch.from_numpy(rankdata(scores.numpy(), axis=0))
    wins = ranks.T @ onehot - inside * (inside + 1) / 2
    return (wins / (inside * (len(labels) - inside))).float()


def class_share(
    scores: Float[Tensor, "images directions"], labels: Int[Tensor, " images"]
) -> Float[Tensor, "directions classes"]:
    """Return the share of each direction's variance that each class alone explains: R² with "is it this class?".

    A unit that is on for one class and off for the others has 1. A sum of such units has not, although the images
    that excite it most may be of a single class and `class_auc` perfect.
    """
    centred = scores - scores.mean(0)
    onehot = torch.nn.functional.one_hot(labels).to(scores.dtype)
    onehot = onehot - onehot.mean(0)
    products = centred.norm(dim=0)[:, None] * onehot.norm(dim=0)
    return ((centred.T @ onehot) / products.clamp_min(1e-12)).square()


def rank_correlation(
    scores: Float[Tensor, "images directions"], factors: Float[Tensor, "images factors"]
) -> Float[Tensor, "directions factors"]:
    """Return Spearman's correlation of each direction with each factor; 0 where one of them is constant."""

    def standardised(values: Tensor) -> Tensor:
        ranks = torch.from_numpy(rankdata(values.numpy(), axis=0))
        centred = ranks - ranks.mean(0)
        return centred / centred.norm(dim=0).clamp_min(1e-12)

    return (standardised(scores).T @ standardised(factors)).float()


def _counts(values: Tensor) -> Tensor:
    """Return how often each value occurs in each set, `[sets, values]`."""
    return torch.nn.functional.one_hot(values).sum(1).float()
