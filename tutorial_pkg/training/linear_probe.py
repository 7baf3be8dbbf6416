"""A linear classifier of two classes on features that stay as they are: "without fine-tuning"."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tutorial_pkg.roc import auc

STRENGTHS = (3e-5, 1e-4, 3e-4, 1e-3)
"""scikit-learn's C, the inverse of the weight decay, as far as it is tried."""


@dataclass(frozen=True)
class LinearProbe:
    """z(x) = ⟨weight, features⟩ + bias; positive where z > 0.

    Attributes:
        weight: one a feature.
        bias: a number.
        strength: C, chosen on the held-out images.
        held_out_auc: area under the ROC curve there.
    """

    weight: Float[Tensor, " features"]
    bias: float
    strength: float
    held_out_auc: float

    def scores(self, features: Float[Tensor, "n features"]) -> Float[Tensor, " n"]:
        """Return z."""
        return features.double() @ self.weight + self.bias

    def write_to(self, linear: nn.Linear) -> None:
        """Make a layer of two logits, ∓z/2, of it: their softmax is the logistic function of z."""
        if linear.weight.shape != (2, len(self.weight)):
            raise ValueError(f"expected a layer of 2 × {len(self.weight)} weights, got {tuple(linear.weight.shape)}")
        half = torch.tensor([[-0.5], [0.5]], dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(half * self.weight)
            linear.bias.copy_(half[:, 0] * self.bias)


def fit_linear_probe(
    features: Float[Tensor, "n features"],
    labels: Int[Tensor, " n"],
    *,
    strengths: tuple[float, ...] = STRENGTHS,
    held_out: float = 0.2,
    max_iter: int = 300,
    generator: torch.Generator,
) -> LinearProbe:
    """Fit logistic regression to standardised features, the two classes weighted to count the same.

    Every C is tried on a part of the images and judged on the others, by the area under the ROC curve; with the best
    one the classifier is fitted to all. The standardisation is folded into the weights.

    Args:
        features: float, on the CPU.
        labels: 0 or 1.
        strengths: the values of C.
        held_out: share of the images, of each class, that C is judged on.
        max_iter: of scikit-learn's L-BFGS.
        generator: chooses the held-out images.

    Raises:
        ValueError: fewer than four images of a class.
    """
    counts = torch.bincount(labels, minlength=2)
    if len(counts) != 2 or counts.min() < 4:
        raise ValueError(f"expected at least four images of each of the classes 0 and 1, got {counts.tolist()}")
    mean, deviation = features.mean(0), features.std(0)
    # A pixel or a unit that never changes says nothing; dividing by its deviation would say a lot.
    scale = torch.where(deviation > 1e-6, 1 / deviation.clamp(min=1e-6), torch.zeros(()))
    inputs = (features - mean) * scale
    judged = torch.zeros(len(labels), dtype=torch.bool)
    for label in (0, 1):
        rows = (labels == label).nonzero()[:, 0]
        chosen = torch.randperm(len(rows), generator=generator)[: max(1, round(held_out * len(rows)))]
        judged[rows[chosen]] = True
    areas = {}
    for strength in strengths:
        weight, bias = _fit(inputs[~judged], labels[~judged], strength, max_iter)
        areas[strength] = auc((inputs[judged] @ weight.float() + bias).numpy(), labels[judged].numpy()).value
    best = max(areas, key=areas.__getitem__)
    weight, bias = _fit(inputs, labels, best, max_iter)
    folded = weight * scale.double()
    return LinearProbe(folded, bias - float(mean.double() @ folded), best, areas[best])


def _fit(inputs: Tensor, labels: Tensor, strength: float, max_iter: int) -> tuple[Tensor, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=max_iter)
    model.fit(inputs.numpy(), labels.numpy())
    return torch.from_numpy(model.coef_[0]).double(), float(model.intercept_[0])
