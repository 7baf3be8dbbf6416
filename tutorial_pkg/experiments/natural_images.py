"""What the experiments on photographs share: one trained AlexNet a profile, and what it sees."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tutorial_pkg.data import ImageDataset
from tutorial_pkg.experiments.base import Context
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.training import ImageRecipe, ImageTraining, build_image_model, model_inputs, train_images

DATASETS = {"quick": "photographs", "laptop": "tiny-imagenet", "paper": "tiny-imagenet"}
RECIPES = {
    "quick": ImageRecipe("alexnet-tiny", image_size=32, epochs=30, batch_size=16, learning_rate=0.005, bfloat16=False),
    "laptop": ImageRecipe(epochs=40),
    "paper": ImageRecipe("alexnet", image_size=256, epochs=60, batch_size=256, learning_rate=0.04),
}
"""Profile → data and training."""


def trained_alexnet(
    recipe: ImageRecipe, images: ImageDataset, seed: int, context: Context
) -> tuple[LayeredModel, ImageTraining]:
    """Return the trained network, from the cache or from where an interrupted run stopped."""
    model, training = context.trained(
        recipe,
        images,
        seed,
        train_images,
        build=lambda: build_image_model(recipe, images),
        result_type=ImageTraining,
        resumable=True,
    )
    return model, training


def validation_inputs(recipe: ImageRecipe, images: ImageDataset) -> Tensor:
    """Return the centres of the validation images as the network sees them, on the CPU."""
    return torch.cat([model_inputs(part, recipe) for part in images.val_images.split(500)])


def as_bytes(inputs: Tensor) -> np.ndarray:
    """Return images in [0, 1] as bytes `[..., height, width, 3]`, for a record."""
    return (inputs.clamp(0, 1) * 255).round().to(torch.uint8).movedim(-3, -1).cpu().numpy()
