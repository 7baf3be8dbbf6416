"""The eight layers of Table 5: the sizes of Krizhevsky, Sutskever and Hinton's network of 2012."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tutorial_pkg.spectral.bounds import FrameBounds
from tutorial_pkg.spectral.circular import conv_frame_bounds
from tutorial_pkg.spectral.linear import linear_frame_bounds


@dataclass(frozen=True)
class LayerShape:
    """One layer of a network, without its weights.

    Attributes:
        name: as in `paper.TABLE5`.
        weight_shape: [F, C / groups, k, k] or [out, in].
        stride: of a convolution.
        groups: of a convolution.
        grid: size of its output map.

    Example:
        >>> ALEXNET[0].frame_bounds(ALEXNET[0].random_weight(seed=0)).grid
        (56, 56)
    """

    name: str
    weight_shape: tuple[int, ...]
    stride: int = 1
    groups: int = 1
    grid: int = 0

    def random_weight(self, seed: int) -> Float[Tensor, "..."]:
        """Return weights as they were initialised: Gaussian, standard deviation 0.01."""
        generator = torch.Generator().manual_seed(seed)
        return 0.01 * torch.randn(self.weight_shape, generator=generator)

    def frame_bounds(self, weight: Tensor, *, refine: bool = False) -> FrameBounds:
        """Return the bounds of this layer with the given weights."""
        if len(self.weight_shape) == 2:
            return linear_frame_bounds(weight)
        return conv_frame_bounds(weight, stride=self.stride, groups=self.groups, grid=self.grid, refine=refine)


ALEXNET = (
    LayerShape("conv1", (96, 3, 11, 11), stride=4, grid=56),
    LayerShape("conv2", (256, 48, 5, 5), groups=2, grid=27),
    LayerShape("conv3", (384, 256, 3, 3), grid=13),
    LayerShape("conv4", (384, 192, 3, 3), groups=2, grid=13),
    LayerShape("conv5", (256, 192, 3, 3), groups=2, grid=13),
    LayerShape("fc1", (4096, 9216)),
    LayerShape("fc2", (4096, 4096)),
    LayerShape("fc3", (1000, 4096)),
)
"""Two of the original's GPUs held half of the channels each, hence the groups of conv2, conv4 and conv5."""
