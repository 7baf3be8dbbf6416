"""Reconstruction TICA: learning QuocNet's filters from images without labels, a stage at a time (Le et al., 2012)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from tutorial_pkg.data import ImageDataset
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.models.quocnet import QUOCNETS, LocalFilters, quocnet
from tutorial_pkg.training.randomness import seeded
from tutorial_pkg.training.tensor_files import read_unfinished, write_tensors

NUM_POINTS = 60
"""Points of a training curve, each the mean over its part of the steps."""


@dataclass(frozen=True)
class TicaRecipe:
    """Everything that decides a trained QuocNet, besides the images and the seed.

    Attributes:
        model: a key of `models.quocnet.QUOCNETS`.
        steps: mini-batches a stage; 0 gives the network with its random filters.
        batch_size: images a step; 100 in Le et al.
        sparsity_weight: λ; 0.1 in Le et al.
        learning_rate: Adam's at a stage's first step, as a share of the weights' root mean square; it falls linearly to
            0 at the stage's last step.
        tied: whether W₂ is W₁, as in Le et al. (2011), or has weights of its own, as in Le et al. (2012).
    """

    model: str = "quocnet"
    steps: int = 400
    batch_size: int = 50
    sparsity_weight: float = 0.03
    learning_rate: float = 0.015
    tied: bool = True

    def __post_init__(self) -> None:
        if self.model not in QUOCNETS:
            raise ValueError(f"unknown model {self.model!r}; expected one of {', '.join(QUOCNETS)}")
        if self.steps < 0 or self.batch_size < 1 or self.sparsity_weight < 0 or not self.learning_rate > 0:
            raise ValueError(
                "expected steps ≥ 0, batch_size ≥ 1, sparsity_weight ≥ 0 and learning_rate > 0, got "
                f"{self.steps}, {self.batch_size}, {self.sparsity_weight} and {self.learning_rate}"
            )


@dataclass(frozen=True)
class TicaResult:
    """How the training went, a list a stage.

    Attributes:
        reconstruction: Σ‖W₂a − x‖² / Σ‖x‖², the share of the stage's input that is lost, along the training.
        sparsity: mean pooled response, along the training.
        seconds: one number a stage.
    """

    reconstruction: list[list[float]]
    sparsity: list[list[float]]
    seconds: list[float]


def tica_cost(
    x: Float[Tensor, "batch channels size size"],
    filters: LocalFilters,
    pooling: nn.Module,
    decoder: Float[Tensor, "places pixels maps"],
) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch maps pooled pooled"]]:
    """Return the two parts of reconstruction TICA's cost, for every image x:

        ‖W₂ W₁ᵀ x − x‖²    and    √(ε + H_j (W₁ᵀ x)²) for every pooling unit j,

    which training adds up: Σ_i ‖W₂W₁ᵀx_i − x_i‖² + λ Σ_ij √(ε + H_j (W₁ᵀx_i)²).

    Args:
        x: the stage's input.
        filters: W₁.
        pooling: the stage's own pooling: H_j is 1 on the filters in neighbourhood j, and 0 elsewhere.
        decoder: W₂, with the sizes of W₁'s `weight`.

    Source: Le, Karpenko, Ngiam & Ng (2011); Le et al. (2012), section 4.
    """
    a = filters(x)
    return (filters.decode(a, decoder) - x).square().flatten(1).sum(1), pooling(a)


def train_tica(
    recipe: TicaRecipe,
    dataset: ImageDataset,
    *,
    seed: int,
    device: str = "cpu",
    progress: bool = False,
    state: Path | None = None,
) -> tuple[LayeredModel, TicaResult]:
    """Train the filters of every stage in turn, from the pixels up, on the training images without their labels.

    A stage sees what the stages below it make of the images, and these no longer change. The layer "logits" is
    left as it was made; `fit_linear_probe` fits a classifier to the features below it. The same arguments give the same
    weights on the same machine, and the global random state is left as it was.

    Args:
        recipe: the network and the schedule.
        dataset: images of the network's size.
        seed: decides the initial filters and the batches.
        device: "cpu", "cuda" or "mps".
        progress: show a progress bar.
        state: a file for the stages that are done; a run that was killed goes on from there, and ends by removing
            it. A damaged one counts for none, with a warning.

    Returns:
        The model in evaluation mode, and its training curves.

    Raises:
        ValueError: the images are not of the network's size.
        FloatingPointError: the cost is not finite.

    Departs from Le et al. (2012): they train all stages jointly, on the sum of the stages' costs, with asynchronous
    gradient descent; here one after the other, with Adam. Unless the recipe says otherwise, W₂ is W₁.
    """
    config = QUOCNETS[recipe.model]
    side = config.image_size
    if dataset.train_images.shape[1:] != (3, side, side):
        raise ValueError(
            f"{recipe.model} takes 3×{side}×{side} images, got {tuple(dataset.train_images.shape[1:])}; "
            "resize them or choose another model"
        )
    with seeded(seed):
        model = quocnet(config).to(device)
    result = TicaResult([], [], [])
    if unfinished := read_unfinished(state, "weights", "result"):
        model.load_state_dict(unfinished["weights"])
        result = TicaResult(**unfinished["result"])
    for stage in range(len(result.seconds) + 1, len(config.stages) + 1):
        _train_stage(model, stage, recipe, dataset.train_images, seed, result, progress)
        if state is not None:
            write_tensors(state, {"weights": model.state_dict(), "result": vars(result)})
    if state is not None:
        state.unlink(missing_ok=True)
    return model.requires_grad_(False).eval(), result


def stage_modules(model: LayeredModel, stage: int) -> tuple[LayeredModel | None, LocalFilters, nn.Module]:
    """Return what is below a stage, None where it is the pixels themselves, its filters and its pooling."""
    names = model.layer_names
    first = names.index(f"filters{stage}")
    below = LayeredModel({name: model.layers[name] for name in names[:first]}) if first else None
    filters = model.layers[f"filters{stage}"]
    assert isinstance(filters, LocalFilters)
    return below, filters, model.layers[f"pooled{stage}"]


def first_weights(
    x: Float[Tensor, "batch channels size size"], filters: LocalFilters, *, tied: bool
) -> Float[Tensor, "places pixels maps"]:
    """Scale W₁ so that training can start, and return the W₂ that it starts with: W₁ itself, or a copy.

    Patches overlap and maps may outnumber pixels, so that fresh filters reconstruct many times too much, and the first
    steps would do nothing but shrink all weights. Scaled, they reconstruct these inputs as well as any multiple can.

    Args:
        x: inputs of the stage.
        filters: changed in place.
        tied: whether W₂ is to be W₁ itself.
    """
    with torch.no_grad():
        reconstruction = filters.decode(filters(x), filters.weight)
        scale = (reconstruction * x).sum() / reconstruction.square().sum().clamp(min=1e-30)
        filters.weight.mul_(scale.sqrt())
    return filters.weight if tied else filters.weight.detach().clone().requires_grad_()


def stage_optimizer(
    filters: LocalFilters, decoder: Float[Tensor, "places pixels maps"], learning_rate: float
) -> torch.optim.Optimizer:
    """Return Adam for W₁ and, where it has weights of its own, W₂; steps are relative to the weights' size."""
    parameters = [filters.weight] if decoder is filters.weight else [filters.weight, decoder]
    size = float(filters.weight.detach().square().mean().sqrt())
    return torch.optim.Adam(parameters, lr=learning_rate * size, betas=(0.9, 0.99))


def _train_stage(
    model: LayeredModel,
    stage: int,
    recipe: TicaRecipe,
    images: Tensor,
    seed: int,
    result: TicaResult,
    progress: bool,
) -> None:
    below, filters, pooling = stage_modules(model, stage)
    start, lost, sparsity = time.perf_counter(), [], []
    batches = _batches(len(images), recipe, seed, stage)
    bar = tqdm(batches, f"stage {stage}", total=recipe.steps, disable=not progress, leave=False, unit="step")
    for step, batch in enumerate(bar):
        with torch.no_grad():
            x = images[batch].to(filters.weight.device).float() / 255
            x = below(x) if below is not None else x
        if step == 0:
            decoder = first_weights(x, filters, tied=recipe.tied)
            optimizer = stage_optimizer(filters, decoder, recipe.learning_rate)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(0.0, 1 - step / recipe.steps))
        errors, pooled = tica_cost(x, filters, pooling, decoder)
        cost = (errors.sum() + recipe.sparsity_weight * pooled.sum()) / len(x)
        value = float(cost.detach())
        if not math.isfinite(value):
            raise FloatingPointError(f"the cost is {value}; lower the learning rate, now {recipe.learning_rate}")
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        schedule.step()
        lost.append(float(errors.detach().sum() / x.square().sum()))
        sparsity.append(float(pooled.detach().mean()))
        bar.set_postfix_str(f"lost {100 * lost[-1]:.1f} %", refresh=False)
    filters.requires_grad_(False)
    result.reconstruction.append(_curve(lost))
    result.sparsity.append(_curve(sparsity))
    result.seconds.append(round(time.perf_counter() - start, 1))


def _batches(num_images: int, recipe: TicaRecipe, seed: int, stage: int) -> Iterator[Tensor]:
    """Yield the indices of every mini-batch, which depend on seed and stage alone: a resumed run has the same."""
    generator = torch.Generator().manual_seed(1000 * seed + stage)
    size = min(recipe.batch_size, num_images)
    left = torch.empty(0, dtype=torch.long)
    for _ in range(recipe.steps):
        if len(left) < size:
            left = torch.randperm(num_images, generator=generator)
        yield left[:size]
        left = left[size:]


def _curve(values: list[float]) -> list[float]:
    """Return the means of equal parts, of every step while there are few."""
    count = min(NUM_POINTS, len(values))
    parts = torch.tensor(values, dtype=torch.float64).tensor_split(count) if count else ()
    return [float(part.mean()) for part in parts]
