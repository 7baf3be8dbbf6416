"""The three numbers the paper reports: error, pixel-level distortion, and the plain L2 norm beside it."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor


def error_rate(logits: Tensor, labels: Tensor) -> float:
    """Return the share of rows whose largest logit is not at the label, in [0, 1].

    Args:
        logits: `[N, K]`.
        labels: `[N]`.

    Example:
        >>> import torch
        >>> error_rate(torch.tensor([[2.0, 1.0], [2.0, 1.0]]), torch.tensor([0, 1]))
        0.5

    Raises:
        ValueError: the logits are no matrix with rows, or NaN, or there is not one class index a row.
    """
    if logits.ndim != 2 or len(logits) == 0 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"expected logits [N, K] and labels [N] with N at least 1, got shapes {tuple(logits.shape)} and "
            f"{tuple(labels.shape)}"
        )
    if labels.is_floating_point() or logits.isnan().any():
        came = f"labels of {labels.dtype}" if labels.is_floating_point() else "logits that are NaN"
        raise ValueError(f"expected class indices for labels and logits that can be compared, got {came}")
    return (logits.argmax(dim=1) != labels).sum().item() / len(labels)


def l2_norm(perturbation: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
    """Return the Euclidean norm ‖r‖₂ of every row.

    Example:
        >>> import torch
        >>> l2_norm(torch.tensor([[3.0, 4.0]]))
        tensor([5.])
    """
    return perturbation.flatten(1).norm(dim=1)


def rms_distortion(perturbation: Float[Tensor, "batch *shape"]) -> Float[Tensor, " batch"]:
    """Return the paper's distortion √(Σᵢ rᵢ² / n) of every row, n the number of pixels (section 4.1).

    Example:
        >>> import torch
        >>> rms_distortion(torch.full((1, 1, 2, 2), 0.5))
        tensor([0.5000])
    """
    num_pixels = perturbation[0].numel() if len(perturbation) else 1
    return l2_norm(perturbation) / math.sqrt(num_pixels)
