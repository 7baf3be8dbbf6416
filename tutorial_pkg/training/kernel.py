"""Kernel ridge regression on the classes, by scikit-learn."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.kernel_ridge import KernelRidge
from torch import Tensor

from tutorial_pkg.models.kernel import GaussianKernelClassifier


def fit_kernel_classifier(
    inputs: Float[Tensor, "n *shape"],
    labels: Int[Tensor, " n"],
    *,
    gamma: float,
    ridge: float = 1e-2,
    num_classes: int = 10,
) -> GaussianKernelClassifier:
    """Fit z to +1 for an image's class and −1 for the others, in the least-squares sense.

    Args:
        inputs: the training set; time grows with the cube of its size, memory with its square.
        labels: class indices, one an input.
        gamma: γ of the kernel exp(−γ‖x − x'‖²).
        ridge: the penalty on ‖z‖² in the kernel's own norm.
        num_classes: columns of the logits.
    """
    flat = inputs.flatten(1).cpu().double().numpy()
    signs = 2 * np.eye(num_classes)[labels.cpu().numpy()] - 1
    fitted = KernelRidge(kernel="rbf", gamma=gamma, alpha=ridge).fit(flat, signs)
    coefficients = torch.from_numpy(fitted.dual_coef_).to(inputs.dtype)
    return GaussianKernelClassifier(inputs.flatten(1), coefficients.to(inputs.device), gamma=gamma)
