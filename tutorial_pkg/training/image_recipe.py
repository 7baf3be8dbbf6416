"""What decides a network trained on photographs, and what it sees of them: resized, and cut out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import interpolate
from torchvision.transforms.functional import ten_crop

from tutorial_pkg.models.alexnet import alexnet_config


@dataclass(frozen=True)
class ImageRecipe:
    """Everything that decides a network trained on photographs, besides the data and the seed.

    Attributes:
        model: a name in `models.alexnet.ALEXNETS`.
        image_size: side to which images are resized before they are cropped to the network's input.
        epochs: passes through the training set; 0 gives the untrained network.
        batch_size: images a step.
        learning_rate: the largest; it rises over the first twentieth of the steps and falls to 0 along a cosine.
        momentum: of stochastic gradient descent.
        weight_decay: as Krizhevsky's, on all parameters.
        bfloat16: compute convolutions and products in 16 bits; weights and losses stay in 32.
    """

    model: str = "alexnet-small"
    image_size: int = 64
    epochs: int = 22
    batch_size: int = 64
    learning_rate: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 5e-4
    bfloat16: bool = True

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.batch_size < 1 or not self.learning_rate > 0:
            raise ValueError(
                f"expected epochs ≥ 0, batch_size ≥ 1 and learning_rate > 0, got {self.epochs}, "
                f"{self.batch_size} and {self.learning_rate}"
            )
        if self.image_size < alexnet_config(self.model).input_size:
            raise ValueError(
                f"images of {self.image_size} pixels are smaller than the {alexnet_config(self.model).input_size} "
                f"that {self.model} sees; choose a larger image_size"
            )


def model_inputs(
    images: UInt8[Tensor, "batch 3 height width"], recipe: ImageRecipe
) -> Float[Tensor, "batch 3 side side"]:
    """Return what the network sees of images: their centres, in [0, 1]."""
    squares = resized(images, recipe.image_size)
    size = alexnet_config(recipe.model).input_size
    start = (recipe.image_size - size) // 2
    return squares[:, :, start : start + size, start : start + size]


def ten_patches(
    images: UInt8[Tensor, "batch 3 height width"], recipe: ImageRecipe
) -> tuple[Float[Tensor, "batch 3 side side"], ...]:
    """Return each image's four corners, its centre, and their mirror images, as the network sees them, in [0, 1].

    Over these Krizhevsky et al. average the probabilities when they classify an image.

    Source: Krizhevsky, Sutskever, Hinton (2012), section 4.1.
    """
    size = alexnet_config(recipe.model).input_size
    patches: tuple[Tensor, ...] = ten_crop(resized(images, recipe.image_size), [size, size])
    return patches


def random_crops(
    images: Float[Tensor, "batch 3 height width"], size: int, generator: torch.Generator
) -> Float[Tensor, "batch 3 {size} {size}"]:
    """Cut a square at random from each image, and turn half of them into their mirror images.

    Args:
        images: on any device.
        size: side of the square.
        generator: on the CPU, so that every device cuts the same.
    """
    count, _, height, width = images.shape
    top, left = (torch.randint(side - size + 1, (count, 1), generator=generator) for side in (height, width))
    mirrored = torch.rand((count, 1), generator=generator) < 0.5
    steps = torch.arange(size)
    rows = (top + steps).to(images.device)
    columns = (left + torch.where(mirrored, size - 1 - steps, steps)).to(images.device)
    index = torch.arange(count, device=images.device)
    # Indices on both sides of the colours' slice put the colours last.
    return images[index[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def resized(images: UInt8[Tensor, "batch 3 height width"], size: int) -> Float[Tensor, "batch 3 {size} {size}"]:
    """Return images in [0, 1] of that size; bilinear, and averaged where they shrink."""
    floats = images.float() / 255
    if images.shape[-2:] == (size, size):
        return floats
    return interpolate(floats, size=(size, size), mode="bilinear", antialias=True)
