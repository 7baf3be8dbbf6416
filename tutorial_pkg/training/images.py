"""Training on photographs: momentum, crops and mirror images on the device, mixed precision, an epoch at a time."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int, UInt8
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from tutorial_pkg.image_folder import ImageDataset
from tutorial_pkg.models.alexnet import alexnet, alexnet_config
from tutorial_pkg.models.layered import LayeredModel
from tutorial_pkg.training.image_recipe import ImageRecipe, model_inputs, random_crops, resized
from tutorial_pkg.training.randomness import seeded
from tutorial_pkg.training.resources import peak_memory_mb
from tutorial_pkg.training.tensor_files import read_unfinished, write_tensors


@dataclass(frozen=True)
class ImageTraining:
    """How training went.

    Attributes:
        train_loss: mean of each epoch's augmented images, with dropout, as they were seen.
        train_accuracy: share of the same images classified correctly.
        val_loss: after each epoch, mean of the centres of the validation images.
        val_accuracy: share of these classified correctly.
        seconds: of all epochs, over all runs if it was interrupted.
        peak_memory_mb: of the process, or of the accelerator's memory.
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    seconds: float = 0.0
    peak_memory_mb: int = 0


def build_image_model(recipe: ImageRecipe, dataset: ImageDataset) -> LayeredModel:
    """Return the recipe's network for the data's classes, freshly initialised from torch's random state."""
    return alexnet(alexnet_config(recipe.model, dataset.num_classes))


def train_images(
    recipe: ImageRecipe,
    dataset: ImageDataset,
    *,
    seed: int,
    device: str = "cpu",
    progress: bool = False,
    state: Path | None = None,
) -> tuple[LayeredModel, ImageTraining]:
    """Build a network and train it by stochastic gradient descent on crops and mirror images.

    Args:
        recipe: the network and the schedule.
        dataset: photographs; all are kept on the device as bytes.
        seed: decides the initial weights, the batches, the crops and the dropped units.
        device: "cpu", "cuda" or "mps".
        progress: show a progress bar.
        state: a file that holds the run after each epoch. Where it is there, training goes on from it, and ends with
            the weights that an uninterrupted run would have; at the end it is removed. A damaged one counts for none,
            with a warning.

    Returns:
        The network in evaluation mode, and its learning curves.

    Raises:
        FloatingPointError: the loss is not finite.

    Source: Krizhevsky, Sutskever, Hinton (2012), section 5: batches of 128, momentum 0.9, weight decay 0.0005.
    """
    images, labels = dataset.train_images.to(device), dataset.train_labels.to(device)
    curves = ImageTraining()
    steps_an_epoch = math.ceil(len(labels) / recipe.batch_size)
    with seeded(seed), tqdm(total=recipe.epochs, disable=not progress, unit="epoch") as bar:
        # Built on the CPU, so that every device starts from the same weights.
        model = build_image_model(recipe, dataset).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        generator = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.SGD(
            model.parameters(), recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        if unfinished := read_unfinished(state, *_STATE):
            curves = _restore(unfinished, model, optimizer, generator)
            bar.update(len(curves.val_loss))
        for epoch in range(len(curves.val_loss), recipe.epochs):
            start = time.perf_counter()
            loss, accuracy = _train_epoch(
                recipe, model, optimizer, images, labels, generator, epoch * steps_an_epoch, steps_an_epoch
            )
            val_loss, val_accuracy = evaluate(model, dataset, recipe, device=device)
            curves = ImageTraining(
                [*curves.train_loss, loss],
                [*curves.train_accuracy, accuracy],
                [*curves.val_loss, val_loss],
                [*curves.val_accuracy, val_accuracy],
                curves.seconds + time.perf_counter() - start,
                max(curves.peak_memory_mb, peak_memory_mb(device)),
            )
            if state is not None:
                _save(state, model, optimizer, generator, curves)
            bar.set_postfix_str(f"loss {loss:.3f}, validation {100 * val_accuracy:.1f} %")
            bar.update()
    if state is not None:
        state.unlink(missing_ok=True)
    return model.eval(), curves


@torch.no_grad()
def evaluate(
    model: nn.Module, dataset: ImageDataset, recipe: ImageRecipe, *, device: str = "cpu", batch_size: int = 250
) -> tuple[float, float]:
    """Return the mean loss and the accuracy on the centres of the validation images.

    Args:
        model: is used in evaluation mode, and left as it was.
        dataset: its validation part is used.
        recipe: says how images are resized and cut, and whether to compute in 16 bits.
        device: where the model is.
        batch_size: images at a time.

    Returns:
        The mean cross-entropy in nats, and the share of images classified correctly, in [0, 1].
    """
    was_training = model.training
    model.eval()
    total, right = 0.0, 0
    for images, labels in zip(dataset.val_images.split(batch_size), dataset.val_labels.split(batch_size), strict=True):
        with torch.autocast(device.split(":")[0], torch.bfloat16, enabled=recipe.bfloat16):
            logits = model(model_inputs(images.to(device), recipe))
        targets = labels.to(device)
        total += float(cross_entropy(logits.float(), targets, reduction="sum"))
        right += int((logits.argmax(1) == targets).sum())
    model.train(was_training)
    return total / len(dataset.val_labels), right / len(dataset.val_labels)


def _train_epoch(
    recipe: ImageRecipe,
    model: LayeredModel,
    optimizer: torch.optim.Optimizer,
    images: UInt8[Tensor, "n 3 height width"],
    labels: Int[Tensor, " n"],
    generator: torch.Generator,
    step: int,
    steps_an_epoch: int,
) -> tuple[float, float]:
    """Run one epoch, the first of whose steps has this number; return the mean loss and the accuracy."""
    model.train()
    device = images.device
    size = alexnet_config(recipe.model).input_size
    total = torch.zeros((), device=device)
    right = torch.zeros((), device=device)
    for batch in torch.randperm(len(labels), generator=generator).to(device).split(recipe.batch_size):
        rate = recipe.learning_rate * _schedule(step / (steps_an_epoch * recipe.epochs))
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs = random_crops(resized(images[batch], recipe.image_size), size, generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bfloat16):
            logits = model(inputs)
        loss = cross_entropy(logits.float(), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        # Summed on the device: reading a number from it would make it wait.
        total += loss.detach() * len(batch)
        right += (logits.argmax(1) == labels[batch]).sum()
    mean = float(total) / len(labels)
    if not math.isfinite(mean):
        raise FloatingPointError(f"the training loss is {mean}; lower the learning rate, now {recipe.learning_rate}")
    return mean, float(right) / len(labels)


def _schedule(done: float, warm_up: float = 0.05) -> float:
    """Return the share of the largest learning rate after that share of the steps."""
    if done < warm_up:
        return (done + 1e-3) / (warm_up + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))


_STATE = ("weights", "optimizer", "generator", "random", "random_cuda", "curves")
"""All that the next epoch depends on."""


def _save(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    curves: ImageTraining,
) -> None:
    values = (
        model.state_dict(),
        optimizer.state_dict(),
        generator.get_state(),
        torch.get_rng_state(),
        torch.cuda.get_rng_state_all(),
        vars(curves),
    )
    write_tensors(path, dict(zip(_STATE, values, strict=True)))


def _restore(
    stored: dict[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> ImageTraining:
    """Undo `_save`."""
    model.load_state_dict(stored["weights"])
    optimizer.load_state_dict(stored["optimizer"])
    generator.set_state(stored["generator"])
    torch.set_rng_state(stored["random"])
    if stored["random_cuda"]:
        torch.cuda.set_rng_state_all(stored["random_cuda"])
    return ImageTraining(**stored["curves"])
