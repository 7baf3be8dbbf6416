"""Gaussian noise, the distortion that adversarial examples are compared with (Tables 2–4, Figure 7c)."""

from __future__ import annotations

import math
from numbers import Real

import torch
from torch import Tensor

from tutorial_pkg.attacks.validation import check_inputs


def gaussian_noise(
    inputs: Tensor, *, stddev: float, generator: torch.Generator, box: tuple[float, float] | None
) -> Tensor:
    """Add independent normal noise of the given standard deviation to every pixel.

    Args:
        inputs: float `[N, ...]`.
        stddev: of one pixel, so that the RMS distortion is about `stddev`, where the box does not cut it.
        generator: where the noise comes from, on its own device.
        box: (lower, upper) to clip the result to, or None for no clipping. The paper does not say; its
            distortions equal the noise's standard deviation exactly, as they do only without clipping.

    Raises:
        ValueError: a stddev that is negative or not finite, no generator, inputs that are no finite float batch or lie
            outside the box.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> noisy = gaussian_noise(torch.zeros(1, 10_000), stddev=0.3, generator=generator, box=None)
        >>> round(noisy.std().item(), 2)
        0.3
    """
    check_inputs(inputs, box)
    if not isinstance(stddev, Real) or not 0 <= stddev < math.inf:
        raise ValueError(
            f"expected a finite stddev of at least 0, got {stddev!r}; it is the noise's standard deviation"
        )
    if not isinstance(generator, torch.Generator):
        raise ValueError(f"expected a torch.Generator, got {generator!r}; use torch.Generator().manual_seed(0)")
    noise = torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype, device=generator.device)
    noisy = inputs.detach() + stddev * noise.to(inputs.device)
    return noisy if box is None else noisy.clamp(*box)
