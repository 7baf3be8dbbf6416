"""What a digit looks like besides its class: slant, stroke width, aspect and holes, from image moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import ndimage
from torch import Tensor


@dataclass(frozen=True)
class StrokeStatistics:
    """Of each image, one entry an image.

    Attributes:
        slant: lean to the right in degrees: the shear that would make the vertical axis of inertia upright.
        width: of the stroke in pixels.
        aspect: horizontal over vertical standard deviation of the ink, after the slant is taken out.
        holes: background regions that the ink encloses.
    """

    slant: Float[Tensor, " images"]
    width: Float[Tensor, " images"]
    aspect: Float[Tensor, " images"]
    holes: Int[Tensor, " images"]


def stroke_statistics(images: Tensor) -> StrokeStatistics:
    """Measure the strokes of bright digits on a dark ground.

    With μ_pq the central moments of the ink, x to the right and y down: tan(slant) = −μ_11 / μ_02 and
    aspect² = (μ_20 − μ_11²/μ_02) / μ_02. The stroke width is four times the ink's mean distance to the background,
    which is exact for a long straight bar an even number of pixels wide. Ink is what exceeds half of an image's
    brightest pixel.

    Args:
        images: `[images, 1, height, width]`, in [0, 1].

    Raises:
        ValueError: another shape, or an image without ink.

    Example:
        >>> ring = torch.zeros(1, 1, 9, 9)
        >>> ring[..., 2:7, 2:7], ring[..., 3:6, 3:6] = 1.0, 0.0
        >>> strokes = stroke_statistics(ring)
        >>> int(strokes.holes), float(strokes.slant.abs()), float(strokes.aspect)
        (1, 0.0, 1.0)
    """
    if images.ndim != 4 or images.shape[1] != 1:
        raise ValueError(f"expected images [images, 1, height, width], got {tuple(images.shape)}")
    pixels = images[:, 0].cpu().double().numpy()
    brightest = pixels.max(axis=(1, 2), keepdims=True)
    if not (brightest > 0).all():
        raise ValueError(f"image {int(np.argmin(brightest))} has no ink: all its pixels are 0")
    ink = pixels > brightest / 2
    mu20, mu11, mu02 = _central_moments(pixels)
    slant = np.degrees(np.arctan2(-mu11, mu02))
    aspect = np.sqrt(np.maximum(mu20 - mu11**2 / mu02, 0) / mu02)
    width = [4 * (ndimage.distance_transform_edt(np.pad(one, 1))[1:-1, 1:-1][one] - 0.5).mean() for one in ink]
    return StrokeStatistics(
        slant=torch.from_numpy(slant).float(),
        width=torch.tensor(width, dtype=torch.float32),
        aspect=torch.from_numpy(aspect).float(),
        # One of the regions is the outside.
        holes=torch.tensor([ndimage.label(~np.pad(one, 1))[1] - 1 for one in ink]),
    )


def _central_moments(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return μ_20, μ_11 and μ_02 of each image, per unit of ink."""
    height, width = pixels.shape[1:]
    y, x = np.mgrid[:height, :width]
    mass = pixels.sum((1, 2))
    dx = x - ((pixels * x).sum((1, 2)) / mass)[:, None, None]
    dy = y - ((pixels * y).sum((1, 2)) / mass)[:, None, None]
    # A single row of ink has no vertical extent; a pixel's own is 1/12.
    mu20, mu02 = ((pixels * d * d).sum((1, 2)) / mass + 1 / 12 for d in (dx, dy))
    return mu20, (pixels * dx * dy).sum((1, 2)) / mass, mu02
