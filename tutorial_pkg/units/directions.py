"""Directions in a layer's feature space, and the images that excite them most (section 3)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from sklearn.decomposition import PCA
from torch import Tensor

from tutorial_pkg.models import LayeredModel


@torch.no_grad()
def layer_features(
    model: LayeredModel, inputs: Float[Tensor, "images *shape"], layer: str, *, batch_size: int = 500
) -> Float[Tensor, "images units"]:
    """Return φ(x) of every image at a layer, flattened: the unit at each position of a map is one unit.

    Args:
        model: in evaluation mode, lest dropout change φ.
        inputs: the image set, on the model's device.
        layer: a name in `model.layer_names`.
        batch_size: images a forward pass.
    """
    # Clones, because the model's first operation may be in place.
    return torch.cat([model.features(batch.clone(), layer).flatten(1) for batch in inputs.split(batch_size)])


def top_activations(features: Tensor, direction: Tensor, k: int = 8) -> Int[Tensor, " k"]:
    """Return the k images that excite a direction most, best first.

        x' = argmax_{x in image set} ⟨φ(x), v⟩                                        (section 3)

    φ(x) is a row of `features`, v is `direction`: a unit vector e_i for a single unit, or any other. Among
    activations that are equal to the last digit the image that comes first in the set is taken first.

    Args:
        features: φ of the image set, floats `[images, units]`.
        direction: v, floats `[units]`; its length does not matter.
        k: how many images, at most as many as there are.

    Raises:
        ValueError: shapes that do not fit, features that are not finite floats, or k out of range.

    Example:
        >>> features = torch.tensor([[0.0, 3.0], [1.0, 2.0], [2.0, 0.0]])
        >>> top_activations(features, torch.tensor([1.0, 0.0]), k=2)
        tensor([2, 1])
    """
    if features.ndim != 2 or not features.is_floating_point():
        raise ValueError(
            f"expected features as floats [images, units], got {features.dtype} {tuple(features.shape)}; "
            "use features.flatten(1)"
        )
    if direction.shape != features.shape[1:]:
        raise ValueError(
            f"expected a direction of {features.shape[1]} entries, one a unit, got {tuple(direction.shape)}"
        )
    return top_sets((features @ direction.to(features)).unsqueeze(1), k)[0]


def top_sets(scores: Tensor, k: int) -> Int[Tensor, "directions k"]:
    """Return the k images with the highest score for each direction, best first.

    Args:
        scores: ⟨φ(x), v⟩ for every image and direction, `[images, directions]`.
        k: how many images.

    Raises:
        ValueError: a score that is not finite, or k out of range.
    """
    if not 1 <= k <= len(scores):
        raise ValueError(f"expected k from 1 to {len(scores)}, the number of images, got {k}")
    if not torch.isfinite(scores).all():
        raise ValueError("expected finite activations, got NaN or infinity; look at the features")
    return scores.argsort(dim=0, descending=True, stable=True)[:k].T


def random_directions(
    count: int, dim: int, *, generator: torch.Generator, nonnegative: bool = False
) -> Float[Tensor, "count dim"]:
    """Return directions drawn uniformly from the unit sphere, one a row.

    Args:
        count: how many.
        dim: units in the layer.
        generator: a CPU generator, so that every device gets the same directions.
        nonnegative: uniformly from the part of the sphere without negative entries, where every unit adds to
            the activation, as a rectified layer's own outputs do.

    Raises:
        ValueError: count or dim is not positive.

    Example:
        >>> v = random_directions(5, 3, generator=torch.Generator().manual_seed(0))
        >>> tuple(v.shape), bool(torch.allclose(v.norm(dim=1), torch.ones(5)))
        ((5, 3), True)
    """
    if count < 1 or dim < 1:
        raise ValueError(f"expected at least one direction and one unit, got count={count}, dim={dim}")
    gaussian = torch.randn(count, dim, generator=generator, device=generator.device)
    if nonnegative:
        gaussian = gaussian.abs()
    return gaussian / gaussian.norm(dim=1, keepdim=True)


def principal_directions(features: Float[Tensor, "images units"], count: int) -> Float[Tensor, "count units"]:
    """Return the first principal components of the features, one a row, in the order of their variance.

    Args:
        features: φ of the image set.
        count: how many, at most the smaller of images and units.

    Raises:
        ValueError: there are not so many.
    """
    if not 1 <= count <= min(features.shape):
        raise ValueError(f"features {tuple(features.shape)} have no {count} principal components")
    # Beyond a few hundred units scikit-learn's solver is a randomised one: the seed makes it repeatable.
    components = PCA(count, random_state=0).fit(features.cpu().numpy()).components_
    return torch.from_numpy(components).to(features)


def live_units(features: Float[Tensor, "images units"], k: int) -> Bool[Tensor, " units"]:
    """Say which units single out a top-k set: at least k images lie above the unit's smallest activation.

    A rectified unit that is 0 on nearly all images has no k best; ties would be broken by the images' order.
    """
    return features.topk(k, dim=0).values[-1] > features.amin(0)


def effective_dimension(features: Float[Tensor, "images units"]) -> float:
    """Return the participation ratio (Σλ)² / Σλ² of the features' variances λ along their principal axes.

    It is the number of units when all axes vary alike, and 1 when one axis has all the variance.

    Example:
        >>> round(effective_dimension(torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]])), 3)
        2.0
    """
    variances = torch.linalg.svdvals((features - features.mean(0)).double()).square()
    return float(variances.sum().square() / variances.square().sum())
