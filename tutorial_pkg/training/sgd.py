"""Mini-batch training for "Conv", the MNIST network that the paper does not train with L-BFGS."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from tutorial_pkg.data import Dataset
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.models.mnist import build_mnist_model
from tutorial_pkg.training.lbfgs import TrainingResult
from tutorial_pkg.training.randomness import seeded


@dataclass(frozen=True)
class SgdRecipe:
    """Everything that decides a model trained by mini-batches, besides the data and the seed.

    Attributes:
        model: a name for `models.build_model`.
        epochs: passes through the training set; 0 gives the untrained network.
        batch_size: images a step.
        learning_rate: Adam's at the first step; it falls linearly to 0 at the last.
    """

    model: str = "conv"
    epochs: int = 5
    batch_size: int = 100
    learning_rate: float = 2e-3

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.batch_size < 1 or not self.learning_rate > 0:
            raise ValueError(
                f"expected epochs ≥ 0, batch_size ≥ 1 and learning_rate > 0, got {self.epochs}, "
                f"{self.batch_size} and {self.learning_rate}"
            )


def train_sgd(
    recipe: SgdRecipe,
    dataset: Dataset,
    *,
    seed: int,
    device: str = "cpu",
    progress: bool = False,
) -> tuple[LayeredModel, TrainingResult]:
    """Build a model and minimise its mean cross-entropy with Adam on random mini-batches.

    The paper says of Conv only that it "achieves good performance" and has a dropout layer; the optimiser is
    this project's choice. The same arguments give the same weights on the same machine, and the global random
    state is left as it was.

    Args:
        recipe: the model and the schedule.
        dataset: its training part is used.
        seed: decides the initial weights, the batches and the dropped units.
        device: "cpu", "cuda" or "mps".
        progress: show a progress bar.

    Returns:
        The model in evaluation mode, and the result: `loss` is the mean over the last epoch, with dropout;
        `iterations` counts steps and `evaluations` epochs.

    Raises:
        FloatingPointError: the loss is not finite.

    Example:
        >>> from tutorial_pkg.data import load_digits
        >>> model, result = train_sgd(SgdRecipe("softmax", epochs=2), load_digits(), seed=0)
        >>> result.iterations, result.message
        (30, 'ran all 2 epochs')
    """
    inputs, labels = dataset.train_inputs.to(device), dataset.train_labels.to(device)
    steps = math.ceil(len(labels) / recipe.batch_size) * recipe.epochs
    with seeded(seed), tqdm(total=steps, disable=not progress, leave=False) as bar:
        # Built and shuffled on the CPU, so that every device starts from the same weights and batches.
        model = build_mnist_model(recipe.model).to(device).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / (steps or 1)))
        total = math.nan
        for _ in range(recipe.epochs):
            total = 0.0
            for batch in torch.randperm(len(labels)).to(device).split(recipe.batch_size):
                loss = cross_entropy(model(inputs[batch]), labels[batch])
                value = float(loss.detach())
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"the training loss is {value}; lower the learning rate, now {recipe.learning_rate}"
                    )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                total += value * len(batch)
                bar.set_postfix_str(f"loss {value:.4f}", refresh=False)
                bar.update()
    return model.eval(), TrainingResult(
        loss=total / len(labels),
        iterations=steps,
        evaluations=recipe.epochs,
        converged=False,
        message=f"ran all {recipe.epochs} epochs",
    )
