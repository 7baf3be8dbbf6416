"""AlexNet, at Krizhevsky's own size and at sizes that a processor can train."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from tutorial_pkg.models.layered import LayeredModel

Layer = TypeVar("Layer", bound=nn.Conv2d | nn.Linear)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's red, green and blue, in [0, 1]; torchvision's models use the same."""


@dataclass(frozen=True)
class AlexNetConfig:
    """Sizes of an AlexNet; the defaults are those of Krizhevsky, Sutskever and Hinton (2012).

    Attributes:
        input_size: side of the image that the network sees.
        num_classes: of the logits.
        kernel: side of the first convolution's taps.
        stride: its step, by which it reduces the image.
        padding: zeros on each side of its input.
        channels: of the five convolutions; the second, fourth and fifth have two groups.
        hidden: units of the two fully connected layers.
        dropout: probability in both of them.
    """

    input_size: int = 224
    num_classes: int = 1000
    kernel: int = 11
    stride: int = 4
    padding: int = 2
    channels: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)
    hidden: tuple[int, int] = (4096, 4096)
    dropout: float = 0.5

    @property
    def pooled_size(self) -> int:
        """Side of the map that the fully connected layers read."""
        side = (self.input_size + 2 * self.padding - self.kernel) // self.stride + 1
        for _ in range(3):
            side = (side - 3) // 2 + 1
        return side

    def __post_init__(self) -> None:
        if self.pooled_size < 1:
            raise ValueError(
                f"an image of {self.input_size} pixels is too small for a stride of {self.stride} and three poolings; "
                "choose a larger input_size or a smaller stride"
            )
        if any(count % 2 or count < 2 for count in self.channels):
            raise ValueError(f"expected even numbers of channels, for two groups, got {self.channels}")


ALEXNETS = {
    "alexnet": AlexNetConfig(),
    "alexnet-small": AlexNetConfig(
        input_size=56, kernel=5, stride=2, padding=3, channels=(48, 128, 192, 192, 128), hidden=(1024, 1024)
    ),
    "alexnet-tiny": AlexNetConfig(
        input_size=28, kernel=5, stride=1, padding=2, channels=(8, 16, 24, 24, 16), hidden=(64, 64)
    ),
}
"""Name → sizes. "alexnet-small" is for a processor and 64×64 images, "alexnet-tiny" for tests.

An image of 256 pixels is to its crop of 224 what one of 64 is to 56 and one of 32 to 28."""


def alexnet(config: AlexNetConfig) -> LayeredModel:
    """Build AlexNet; its inputs are images in [0, 1], which it normalises itself.

    Layers: `normalise`; `conv1`, `pool1`, `conv2`, `pool2`, `conv3`, `conv4`, `conv5`, `pool5`; `fc1`, `fc2`, each
    behind a dropout `dropout1`, `dropout2`; `logits`, which the paper's Table 5 calls FC3. The features of a
    convolution are behind its rectifier, and behind the response normalisation where there is one.

    Args:
        config: the sizes; `AlexNetConfig()` are the original's.

    Departs from the original: He's initial weights and zero biases in place of a standard deviation of 0.01 and
    biases of 1.

    Example:
        >>> with torch.device("meta"):
        ...     model = alexnet(AlexNetConfig())
        >>> f"{sum(p.numel() for p in model.parameters()):,}"
        '60,965,224'

    Source: Krizhevsky, Sutskever, Hinton, ImageNet classification with deep convolutional neural networks (2012),
    section 3.
    """
    c1, c2, c3, c4, c5 = config.channels
    h1, h2 = config.hidden
    flat = c5 * config.pooled_size**2
    return LayeredModel(
        {
            "normalise": Normalise(),
            "conv1": _convolution(
                nn.Conv2d(3, c1, config.kernel, stride=config.stride, padding=config.padding), LocalResponseNorm(c1)
            ),
            "pool1": nn.MaxPool2d(3, stride=2),
            "conv2": _convolution(nn.Conv2d(c1, c2, 5, padding=2, groups=2), LocalResponseNorm(c2)),
            "pool2": nn.MaxPool2d(3, stride=2),
            "conv3": _convolution(nn.Conv2d(c2, c3, 3, padding=1)),
            "conv4": _convolution(nn.Conv2d(c3, c4, 3, padding=1, groups=2)),
            "conv5": _convolution(nn.Conv2d(c4, c5, 3, padding=1, groups=2)),
            "pool5": nn.MaxPool2d(3, stride=2),
            "dropout1": nn.Dropout(config.dropout),
            "fc1": nn.Sequential(nn.Flatten(), _he(nn.Linear(flat, h1)), nn.ReLU()),
            "dropout2": nn.Dropout(config.dropout),
            "fc2": nn.Sequential(_he(nn.Linear(h1, h2)), nn.ReLU()),
            "logits": _he(nn.Linear(h2, config.num_classes), gain=0.1),
        }
    )


def alexnet_config(name: str, num_classes: int | None = None) -> AlexNetConfig:
    """Return the sizes of that name, for that many classes.

    Raises:
        ValueError: no AlexNet has that name.
    """
    if name not in ALEXNETS:
        raise ValueError(f"unknown AlexNet {name!r}; expected one of {', '.join(ALEXNETS)}")
    config = ALEXNETS[name]
    return config if num_classes is None else replace(config, num_classes=num_classes)


class Normalise(nn.Module):
    """(x − mean) / standard deviation, colour by colour."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("std", torch.tensor(STD)[:, None, None])

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
        """Normalise images in [0, 1]."""
        return (x - self.mean) / self.std


class LocalResponseNorm(nn.Module):
    """Krizhevsky's response normalisation across neighbouring channels.

        b_i = a_i / (k + α Σ_j a_j²)^¾,   j from i − 2 to i + 2                        (his section 3.3)

    with k = 2. His α = 10⁻⁴ is for images from 0 to 255; for images of standard deviation 1 it is
    10⁻⁴ · (255 · 0.226)² = 0.33, which makes it the same function of the image.

    Args:
        num_channels: of the input.
    """

    neighbours: Tensor
    alpha = 1e-4 * (255 * 0.226) ** 2
    k = 2.0

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        index = torch.arange(num_channels)
        band = (index[:, None] - index).abs() <= 2
        self.register_buffer("neighbours", band.float()[:, :, None, None], persistent=False)

    def forward(self, x: Float[Tensor, "batch c height width"]) -> Float[Tensor, "batch c height width"]:
        """Normalise the activations."""
        # A sum over a band of channels is a 1×1 convolution, which is much faster than average pooling in 3-D.
        base = self.k + self.alpha * nn.functional.conv2d(x.square(), self.neighbours)
        return x * base.rsqrt() * base.sqrt().rsqrt()


def _convolution(convolution: nn.Conv2d, *after: nn.Module) -> nn.Sequential:
    return nn.Sequential(_he(convolution), nn.ReLU(), *after)


def _he(layer: Layer, gain: float = 1.0) -> Layer:
    """Give He et al.'s normal weights, times `gain`, and zero biases to a layer followed by a rectifier."""
    nn.init.kaiming_normal_(layer.weight)
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.mul_(gain)
        nn.init.zeros_(layer.bias)
    return layer
