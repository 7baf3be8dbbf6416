"""The oracle: a convolution written out as a matrix, one entry a tap, without any Fourier transform."""

from itertools import product

import numpy as np
import torch


def circular_matrix(
    weight: torch.Tensor,
    outputs: tuple[int, ...],
    stride: tuple[int, ...],
    groups: int = 1,
    dilation: tuple[int, ...] | None = None,
) -> np.ndarray:
    """Return the matrix of a convolution that wraps around maps of `outputs` × `stride` pixels."""
    taps = weight.double().numpy()
    num_outputs, per_group, *kernel = taps.shape
    dilation = dilation or (1,) * len(kernel)
    sizes = [m * s for m, s in zip(outputs, stride, strict=True)]
    matrix = np.zeros((num_outputs, *outputs, per_group * groups, *sizes))
    for place in product(*map(range, outputs)):
        for tap in product(*map(range, kernel)):
            pixel = tuple(
                (m * s + t * d) % n for m, s, t, d, n in zip(place, stride, tap, dilation, sizes, strict=True)
            )
            for f in range(num_outputs):
                first = f // (num_outputs // groups) * per_group
                matrix[(f, *place, slice(first, first + per_group), *pixel)] += taps[(f, slice(None), *tap)]
    return matrix.reshape(num_outputs * np.prod(outputs), -1)


def extremes(matrix: np.ndarray) -> tuple[float, float]:
    """Return the smallest (thin) and the largest singular value."""
    values = np.linalg.svd(matrix, compute_uv=False)
    return values[-1], values[0]
