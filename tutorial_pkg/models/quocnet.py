"""QuocNet: stages of untied local filters, L2 pooling and local contrast normalisation (Le et al., 2012).

Szegedy et al. attack a car classifier "on top of the last layer features" of this network. It has about a billion
weights, because no two places of an image share a filter; here it is any size that its configuration says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d

from tutorial_pkg.models.layered import LayeredModel


@dataclass(frozen=True)
class StageConfig:
    """Sizes of one stage, in pixels of the stage's input.

    Attributes:
        filter_size: side of a receptive field; 18 in Le et al.
        num_maps: filters at every place; 8 there.
        filter_stride: pixels from one receptive field to the next.
        pool_size: side of a pooling neighbourhood; 5 there.
        pool_stride: filters from one neighbourhood to the next; below `pool_size` they overlap.
        norm_size: side of the neighbourhood of the contrast normalisation, an odd number; 5 there.
    """

    filter_size: int
    num_maps: int = 8
    filter_stride: int = 1
    pool_size: int = 5
    pool_stride: int = 1
    norm_size: int = 5

    def __post_init__(self) -> None:
        if min(vars(self).values()) < 1 or self.norm_size % 2 == 0:
            raise ValueError(f"expected sizes and strides ≥ 1 and an odd norm_size, got {self}")


@dataclass(frozen=True)
class QuocNetConfig:
    """The whole network.

    Attributes:
        stages: from the pixels up; three in Le et al.
        image_size: side of the colour images it takes; 200 there.
        input_norm_size: side of a contrast normalisation of the pixels themselves, an odd number; 0 for none.
        epsilon: ε under the root of the pooling.
        norm_floor: c, the smallest local contrast that is divided by; 0.01 in Le et al.
        num_classes: 2, not a car and a car.
    """

    stages: tuple[StageConfig, ...]
    image_size: int = 200
    input_norm_size: int = 0
    epsilon: float = 1e-3
    norm_floor: float = 0.01
    num_classes: int = 2

    def __post_init__(self) -> None:
        if not self.stages:
            raise ValueError("expected at least one stage, got none")
        if self.input_norm_size < 0 or (self.input_norm_size and self.input_norm_size % 2 == 0):
            raise ValueError(f"expected an odd input_norm_size, or 0 for none, got {self.input_norm_size}")
        if not (self.epsilon > 0 and self.norm_floor > 0):
            raise ValueError(f"expected epsilon and norm_floor > 0, got {self.epsilon} and {self.norm_floor}")
        self.sides()

    def sides(self) -> tuple[tuple[int, int], ...]:
        """Return, for each stage, the side of its filters' map and of its output's.

        Raises:
            ValueError: a receptive field or a pooling neighbourhood is larger than what it looks at.
        """
        side, result = self.image_size, []
        for i, stage in enumerate(self.stages, 1):
            filtered = (side - stage.filter_size) // stage.filter_stride + 1
            pooled = (filtered - stage.pool_size) // stage.pool_stride + 1
            if side < stage.filter_size or filtered < stage.pool_size:
                raise ValueError(
                    f"stage {i} does not fit: its input is {side} pixels wide, its receptive fields "
                    f"{stage.filter_size} and its pooling {stage.pool_size}; make these smaller or the image larger"
                )
            result.append((filtered, pooled))
            side = pooled
        return tuple(result)


QUOCNET_FULL = QuocNetConfig(stages=(StageConfig(18),) * 3)
"""Le et al.'s sizes: 200×200 pixels, receptive fields of 18×18, 8 maps, pooling and normalisation over 5×5."""

QUOCNET_SMALL = QuocNetConfig(
    stages=(
        StageConfig(8, num_maps=16, filter_stride=2, pool_size=4, pool_stride=2),
        StageConfig(3, num_maps=128, pool_size=3, pool_stride=2),
        StageConfig(2, num_maps=512, pool_size=2, norm_size=3),
    ),
    image_size=64,
    input_norm_size=9,
    norm_floor=0.05,
)
"""For 64×64 pixels and a processor. Images so small have room for few places, which more maps make up for."""

QUOCNET_LARGE = QuocNetConfig(
    stages=(
        StageConfig(8, num_maps=32, pool_size=5, pool_stride=4),
        StageConfig(4, num_maps=256, pool_size=3, pool_stride=2),
        StageConfig(2, num_maps=1024, pool_size=2, norm_size=3),
    ),
    image_size=64,
    input_norm_size=9,
    norm_floor=0.05,
)
"""For 64×64 pixels and a GPU."""

QUOCNET_TINY = QuocNetConfig(
    stages=(
        StageConfig(12, num_maps=4, filter_stride=4, pool_size=3, pool_stride=2, norm_size=3),
        StageConfig(2, num_maps=6, pool_size=2, norm_size=3),
        StageConfig(2, num_maps=8, pool_size=2, norm_size=3),
    ),
    image_size=64,
    input_norm_size=9,
    norm_floor=0.05,
)
"""For tests and the pages' live cells."""

QUOCNETS = {
    "quocnet": QUOCNET_SMALL,
    "quocnet-full": QUOCNET_FULL,
    "quocnet-large": QUOCNET_LARGE,
    "quocnet-tiny": QUOCNET_TINY,
}
"""Name → configuration."""


class LocalFilters(nn.Module):
    """Linear filters on local receptive fields, every place with filters of its own.

        a[n, m, l] = Σ_k W[l, k, m] · x[n, patch l, pixel k]

    All places start from the same random filters, so that the neighbours which are pooled have something to do with
    each other; training then moves each its own way.

    Args:
        in_channels: maps of the input; a filter sees all of them.
        in_size: side of the input.
        num_maps: filters a place.
        size: side of a receptive field.
        stride: pixels from one receptive field to the next.

    Attributes:
        weight: W, `[places, in_channels · size², num_maps]`.
    """

    def __init__(self, in_channels: int, in_size: int, num_maps: int, *, size: int, stride: int = 1) -> None:
        super().__init__()
        self.size, self.stride, self.in_size = size, stride, in_size
        self.side = (in_size - size) // stride + 1
        fan_in = in_channels * size**2
        filters = torch.randn(fan_in, num_maps) / math.sqrt(fan_in)
        self.weight = nn.Parameter(filters.repeat(self.side**2, 1, 1))

    def forward(self, x: Float[Tensor, "batch channels size size"]) -> Float[Tensor, "batch maps side side"]:
        """Filter every receptive field."""
        patches = _Patches.apply(x.permute(1, 2, 3, 0), self.size, self.stride)
        return (self.weight.transpose(1, 2) @ patches).permute(2, 1, 0).unflatten(2, (self.side, self.side))

    def decode(
        self, a: Float[Tensor, "batch maps side side"], weight: Float[Tensor, "places pixels maps"]
    ) -> Float[Tensor, "batch channels size size"]:
        """Write every filter's response back into its receptive field with `weight`; what overlaps is added.

        With this layer's own weights it is the adjoint of `forward`.
        """
        patches = weight @ a.flatten(2).permute(2, 1, 0)
        return _Overlay.apply(patches, self.in_size, self.size, self.stride).permute(3, 0, 1, 2)


# Images have the batch for their last dimension here: a pixel of a whole batch is one stretch of memory, which makes
# cutting patches ten times as fast as torch's `unfold`, and the patches of a place are a matrix as they are.
class _Patches(torch.autograd.Function):
    """Cut `[channels, height, width, batch]` into patches `[places, channels · size², batch]`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int, stride: int) -> Tensor:
        ctx.sizes = x.shape[1], size, stride
        windows = x.contiguous().unfold(1, size, stride).unfold(2, size, stride)
        return windows.permute(1, 2, 0, 4, 5, 3).flatten(2, 4).flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _Overlay.apply(grad, *ctx.sizes), None, None


class _Overlay(torch.autograd.Function):
    """The adjoint: add patches up where they were cut."""

    @staticmethod
    def forward(ctx: Any, patches: Tensor, in_size: int, size: int, stride: int) -> Tensor:
        ctx.sizes = size, stride
        side = (in_size - size) // stride + 1
        windows = patches.view(side, side, -1, size, size, patches.shape[2])
        out = patches.new_zeros(windows.shape[2], in_size, in_size, patches.shape[2])
        last = stride * (side - 1) + 1
        for i in range(size):
            for j in range(size):
                out[:, i : i + last : stride, j : j + last : stride] += windows[:, :, :, i, j].permute(2, 0, 1, 3)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return _Patches.apply(grad, *ctx.sizes), None, None, None


class L2Pooling(nn.Module):
    """√(ε + Σ a²) over a square neighbourhood of one map."""

    def __init__(self, size: int, *, stride: int = 1, epsilon: float = 1e-3) -> None:
        super().__init__()
        self.size, self.stride, self.epsilon = size, stride, epsilon

    def forward(self, a: Float[Tensor, "batch maps side side"]) -> Float[Tensor, "batch maps pooled pooled"]:
        """Pool every map."""
        return (self.epsilon + self.size**2 * avg_pool2d(a.square(), self.size, self.stride)).sqrt()


class ContrastNormalization(nn.Module):
    """Subtract the local mean and divide by the local contrast, both over all maps.

        g = h − Σ G h,   y = g / max(c, √(Σ G g²))

    G is a Gaussian window with the weights 1 in sum, over those of its pixels that are in the image.

    Args:
        size: side of the window; its standard deviation is a quarter of that.
        floor: c.

    Source: Jarrett, Kavukcuoglu, Ranzato & LeCun (2009); Le et al. (2012).
    """

    window: Tensor

    def __init__(self, size: int, *, floor: float = 0.01) -> None:
        super().__init__()
        self.floor = floor
        line = torch.exp(-0.5 * ((torch.arange(size) - size // 2) / (size / 4)).square())
        self.register_buffer("window", torch.outer(line, line)[None, None], persistent=False)

    def forward(self, h: Float[Tensor, "batch maps side side"]) -> Float[Tensor, "batch maps side side"]:
        """Normalise."""
        g = h - self._local_mean(h)
        return g / self._local_mean(g.square()).clamp(min=self.floor**2).sqrt()

    def _local_mean(self, h: Tensor) -> Tensor:
        window = self.window.to(h.dtype)
        mean, padding = h.mean(1, keepdim=True), window.shape[-1] // 2
        mass = conv2d(torch.ones_like(mean[:1]), window, padding=padding)
        return conv2d(mean, window, padding=padding) / mass


def quocnet(config: QuocNetConfig) -> LayeredModel:
    """Return the network with random weights: `filters1`, `pooled1`, `stage1`, …, `stage3`, `logits`.

    `stage<i>` is the output of a whole stage, after its normalisation; where the configuration says so, the pixels
    are normalised first, by `pixels`. The logits are linear in the last stage's features.

    Args:
        config: the sizes, such as `QUOCNET_SMALL`; of `QUOCNET_FULL` build it under `torch.device("meta")`, or
            with 5 GB to spare.

    Example:
        >>> with torch.device("meta"):
        ...     model = quocnet(QUOCNET_FULL)
        >>> f"{sum(p.numel() for p in model.parameters()):,}"
        '1,217,158,770'
    """
    layers: dict[str, nn.Module] = {}
    if config.input_norm_size:
        layers["pixels"] = ContrastNormalization(config.input_norm_size, floor=config.norm_floor)
    channels, side = 3, config.image_size
    for i, (stage, (_, pooled)) in enumerate(zip(config.stages, config.sides(), strict=True), 1):
        layers[f"filters{i}"] = LocalFilters(
            channels, side, stage.num_maps, size=stage.filter_size, stride=stage.filter_stride
        )
        layers[f"pooled{i}"] = L2Pooling(stage.pool_size, stride=stage.pool_stride, epsilon=config.epsilon)
        layers[f"stage{i}"] = ContrastNormalization(stage.norm_size, floor=config.norm_floor)
        channels, side = stage.num_maps, pooled
    layers["logits"] = nn.Sequential(nn.Flatten(), nn.Linear(channels * side**2, config.num_classes))
    return LayeredModel(layers)
