"""Mini-batch training on clean images mixed with examples from pools, and the baselines at the same budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy, dropout
from tqdm import tqdm

from tutorial_pkg.adversarial_training.pools import INPUT, Pool, PoolRecipe
from tutorial_pkg.data import Dataset
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.models.mnist import build_mnist_model
from tutorial_pkg.training.lbfgs import TrainingResult
from tutorial_pkg.training.randomness import seeded

WARM_UP = 200  # steps over which the learning rate rises to its first value, or a tenth of all if that is fewer
ADAM_SHARE = 0.1  # of Muon's learning rate, for what Adam moves beside it
OPTIMIZERS = ("adam", "muon")
"""Ways to follow the gradient: Adam (Kingma and Ba, 2015), or Muon (Jordan et al., 2024) for weight matrices."""


@dataclass(frozen=True)
class AdversarialRecipe:
    """Everything that decides a network trained on pools, besides the data and the seed.

    Attributes:
        model: a name for `models.build_model`.
        pools: one for each layer that has one; none for the baselines.
        epochs: passes through the clean training set.
        batch_size: clean images a step; as many examples are drawn from each pool.
        optimizer: one of `OPTIMIZERS`. Muon moves a weight matrix along its momentum with all singular values made
            equal; biases, and weights that are no matrix, are left to Adam at a tenth of the learning rate.
        learning_rate: it rises over the first steps and falls to 0 at the last along a half cosine.
        weight_decay: λ of (λ/2)·Σw² over the weights, biases left free.
        dropout: probability to drop an input of each layer, the first layer's first; empty for none.
    """

    model: str = "fc100-100-10"
    pools: tuple[PoolRecipe, ...] = ()
    epochs: int = 100
    batch_size: int = 250
    optimizer: str = "adam"
    learning_rate: float = 5e-3
    weight_decay: float = 0.0
    dropout: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1 or not (self.learning_rate > 0 and self.weight_decay >= 0):
            raise ValueError(
                "expected epochs ≥ 1, batch_size ≥ 1, learning_rate > 0 and weight_decay ≥ 0, got "
                f"{self.epochs}, {self.batch_size}, {self.learning_rate} and {self.weight_decay}"
            )
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"unknown optimizer {self.optimizer!r}; expected one of {', '.join(OPTIMIZERS)}")
        if not all(0 <= p < 1 for p in self.dropout):
            raise ValueError(f"dropout probabilities are in [0, 1), got {self.dropout}")
        layers = [pool.layer for pool in self.pools]
        if len(set(layers)) < len(layers):
            raise ValueError(f"one pool a layer, got {layers}")


def train_adversarially(
    recipe: AdversarialRecipe,
    dataset: Dataset,
    *,
    seed: int,
    device: str = "cpu",
    progress: bool = False,
) -> tuple[LayeredModel, TrainingResult]:
    """Train a network on clean images and, in every step, on examples drawn from pools.

        loss = CE(f(x), y) + (λ/2)·Σw² + Σ_pools w·CE(f_above(e), y)

    e is an example of the pool's layer and f_above the layers above it, which are the ones that it trains: "a
    pool of adversarial examples a random subset of which is continuously replaced by newly generated adversarial
    examples and which is mixed into the original training set all the time" (section 4.2). A pool is filled before the
    first step and a share of it replaced every `period` steps, by examples against the network of that moment.

    The optimiser and its schedule are this project's choice; the paper names none. The same arguments give the same
    weights on the same machine, and the global random state is left as it was.

    Args:
        recipe: the network, its pools and the schedule.
        dataset: its training part is used.
        seed: decides the initial weights, the batches, what is dropped and what the pools hold.
        device: "cpu", "cuda" or "mps".
        progress: show a progress bar.

    Returns:
        The network in evaluation mode, and the result: `loss` is the mean over the last epoch, pools included;
        `iterations` counts steps and `evaluations` epochs.

    Raises:
        ValueError: a pool's layer or box, or the number of dropout probabilities, does not fit the network.
        FloatingPointError: the loss of an epoch is not finite.

    Example:
        >>> from tutorial_pkg.data import load_digits
        >>> pool = PoolRecipe("hidden1", capacity=100, replaced=0.5, period=5)
        >>> model, result = train_adversarially(AdversarialRecipe(pools=(pool,), epochs=2), load_digits(), seed=0)
        >>> result.iterations, result.message
        (12, 'ran all 2 epochs')
    """
    inputs, labels = dataset.train_inputs.to(device), dataset.train_labels.to(device)
    steps = math.ceil(len(labels) / recipe.batch_size) * recipe.epochs
    with seeded(seed), tqdm(total=steps, disable=not progress, leave=False) as bar:
        # Built and shuffled on the CPU, so that every device starts from the same weights and batches.
        model = build_mnist_model(recipe.model).to(device)
        _check(recipe, model)
        pools = [Pool(pool, inputs, labels, torch.Generator().manual_seed(seed)) for pool in recipe.pools]
        decayed = [weight for name, weight in model.named_parameters() if name.endswith("weight")]
        optimizers = _optimizers(recipe, model)
        schedules = [torch.optim.lr_scheduler.LambdaLR(each, lambda step: _rate(step, steps)) for each in optimizers]
        step, mean = 0, math.nan
        for _ in range(recipe.epochs):
            total = torch.zeros((), device=device)
            for batch in torch.randperm(len(labels)).to(device).split(recipe.batch_size):
                for pool in pools:
                    if step % pool.recipe.period == 0:
                        pool.refresh(model)
                loss = cross_entropy(_forward(model, inputs[batch], recipe.dropout), labels[batch])
                for pool in pools:
                    loss = loss + pool.recipe.weight * _pool_loss(model, pool, len(batch))
                if recipe.weight_decay:
                    loss = loss + recipe.weight_decay / 2 * sum(weight.square().sum() for weight in decayed)
                model.zero_grad()
                loss.backward()
                for optimizer, schedule in zip(optimizers, schedules, strict=True):
                    optimizer.step()
                    schedule.step()
                step += 1
                total += loss.detach() * len(batch)
                bar.update()
            mean = float(total) / len(labels)  # once an epoch: a GPU waits for it
            if not math.isfinite(mean):
                raise FloatingPointError(
                    f"the training loss is {mean}; lower the learning rate, now {recipe.learning_rate}"
                )
            bar.set_postfix_str(f"loss {mean:.4f}", refresh=False)
    return model.eval(), TrainingResult(
        loss=mean,
        iterations=steps,
        evaluations=recipe.epochs,
        converged=False,
        message=f"ran all {recipe.epochs} epochs",
    )


def _forward(model: LayeredModel, x: Tensor, probabilities: Sequence[float]) -> Float[Tensor, "batch classes"]:
    """The logits, with an input of each layer dropped at random."""
    for layer, probability in zip(model.layers.values(), probabilities or [0.0] * len(model.layers), strict=True):
        x = layer(dropout(x, probability) if probability else x)
    return x


def _pool_loss(model: LayeredModel, pool: Pool, count: int) -> Float[Tensor, ""]:
    examples, labels = pool.draw(model, count)
    layer = pool.recipe.layer
    return cross_entropy((model if layer == INPUT else model.above(layer))(examples), labels)


def _optimizers(recipe: AdversarialRecipe, model: LayeredModel) -> list[torch.optim.Optimizer]:
    parameters = list(model.parameters())
    rate = recipe.learning_rate
    if recipe.optimizer == "adam":
        return [torch.optim.Adam(parameters, lr=rate, fused=True)]
    matrices = [p for p in parameters if p.ndim == 2]
    rest = [p for p in parameters if p.ndim != 2]
    return [
        # Its own weight decay is another one, decoupled from the loss.
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.0),
        torch.optim.Adam(rest, lr=ADAM_SHARE * rate, fused=True),
    ]


def _rate(step: int, steps: int) -> float:
    rising = max(1, min(WARM_UP, steps // 10))
    return min(1.0, (step + 1) / rising) * (1 + math.cos(math.pi * step / steps)) / 2


def _check(recipe: AdversarialRecipe, model: LayeredModel) -> None:
    for pool in recipe.pools:
        if pool.layer != INPUT:
            model.above(pool.layer)  # raises where there is no such layer, or nothing above it
    if recipe.dropout and len(recipe.dropout) != len(model.layers):
        raise ValueError(
            f"dropout has {len(recipe.dropout)} probabilities; {recipe.model} has {len(model.layers)} layers"
        )
