"""The smooth classifier that section 4 contrasts networks with: a Gaussian kernel machine."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class GaussianKernelClassifier(nn.Module):
    """Logits z(x) = Σ_i α_i exp(−γ‖x − x_i‖²): a sum of bumps of one width, one on each training image.

    Its gradient is bounded: the wider the bumps (the smaller γ), the less z can change over a small distance.

    Args:
        centres: x_i.
        coefficients: α_i, a row a centre and a column a class.
        gamma: γ, 1/(2σ²) of the bumps.
    """

    centres: Tensor
    coefficients: Tensor
    squared_norms: Tensor

    def __init__(
        self,
        centres: Float[Tensor, "n pixels"],
        coefficients: Float[Tensor, "n classes"],
        *,
        gamma: float,
    ) -> None:
        super().__init__()
        self.register_buffer("centres", centres)
        self.register_buffer("coefficients", coefficients)
        self.register_buffer("squared_norms", centres.square().sum(1))
        self.gamma = gamma

    def forward(self, x: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch classes"]:
        """Return the logits."""
        flat = x.flatten(1)
        # ‖x − x_i‖² multiplied out: a matrix product instead of a tensor of all differences.
        squared = flat.square().sum(1, keepdim=True) + self.squared_norms - 2 * flat @ self.centres.T
        return torch.exp(-self.gamma * squared.clamp(min=0)) @ self.coefficients
