"""Reconstruction TICA: learning QuocNet's filters from images without labels, a stage at a time (Le et al., 2012)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError

import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from tutorial_pkg.data import ImageDataset
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.models.quocnet import QUOCNETS, LocalFilters, QuocNetConfig, quocnet
from tutorial_pkg.records import write_atomically
from tutorial_pkg.training.randomness import seeded
from tutorial_pkg.training.resources import peak_memory_mb

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
        state: a file for the stages that are done; a run that was killed goes on from there, and ends by removing it.

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
    if state is not None and state.exists():
        result = _restore(model, state)
    for stage in range(len(result.seconds) + 1, len(config.stages) + 1):
        _train_stage(model, stage, recipe, dataset.train_images, seed, result, progress)
        if state is not None:
            _save(model, result, state)
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


def _save(model: LayeredModel, result: TicaResult, state: Path) -> None:
    state.parent.mkdir(parents=True, exist_ok=True)
    buffer = BytesIO()
    torch.save({"weights": model.state_dict(), "result": vars(result)}, buffer)
    write_atomically(state, buffer.getvalue())


def _restore(model: LayeredModel, state: Path) -> TicaResult:
    """Load the stages that are done; a damaged file counts for none."""
    device = next(model.parameters()).device
    try:
        stored = torch.load(state, map_location=device, weights_only=True)
        model.load_state_dict(stored["weights"])
        return TicaResult(**stored["result"])
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, ValueError, UnpicklingError):
        return TicaResult([], [], [])


@dataclass(frozen=True)
class StepCost:
    """What training steps of one stage took, and did.

    Attributes:
        weights: trained by them, W₁'s, and W₂'s where it has its own.
        seconds: the fastest of them.
        memory: peak in MiB; of the accelerator, or of the process so far on a CPU.
        lost: share of the stage's input that the code lost before each step.
    """

    weights: int
    seconds: float
    memory: int
    lost: list[float]


def measure_steps(
    model: LayeredModel,
    stage: int,
    images: Float[Tensor, "batch 3 side side"],
    *,
    tied: bool,
    steps: int = 3,
    learning_rate: float = 0.015,
) -> StepCost:
    """Train a stage for a few steps on one batch, just as `train_tica` does, and measure them.

    Args:
        model: changed in place; where it is, is where the steps are taken. It may end with the stage.
        stage: from 1.
        images: in [0, 1].
        tied: whether W₂ is W₁.
        steps: at least 1.
        learning_rate: as in `TicaRecipe`; held constant.
    """
    below, filters, pooling = stage_modules(model, stage)
    device = filters.weight.device
    images = images.to(device)
    lost, seconds = [], []
    for step in range(steps):
        start = _now(device)
        with torch.no_grad():
            x = below(images) if below is not None else images
        if step == 0:
            decoder = first_weights(x, filters, tied=tied)
            optimizer = stage_optimizer(filters, decoder, learning_rate)
        errors, pooled = tica_cost(x, filters, pooling, decoder)
        optimizer.zero_grad()
        ((errors.sum() + TicaRecipe.sparsity_weight * pooled.sum()) / len(x)).backward()
        optimizer.step()
        lost.append(float(errors.detach().sum() / x.square().sum()))
        seconds.append(_now(device) - start)
    filters.weight.grad = None
    weights = filters.weight.numel() * (1 if tied else 2)
    return StepCost(weights, min(seconds), peak_memory_mb(device.type), lost)


def step_memory(config: QuocNetConfig, stage: int, *, batch_size: int, tied: bool) -> int:
    """Return about how many bytes a training step of a stage needs, with the weights of the stages below at hand.

    Args:
        config: the network; no memory is taken for its weights.
        stage: from 1.
        batch_size: images a step.
        tied: whether the decoder W₂ is W₁.
    """
    with torch.device("meta"):
        weights = [module.weight for module in quocnet(config).modules() if isinstance(module, LocalFilters)]
    *below, trained = weights[:stage]
    # W₁, its gradient, and for Adam two moments and a temporary one; W₂ the same. Patches are held about six times.
    copies = (5 if tied else 9) * trained.numel()
    patches = 6 * batch_size * trained.shape[0] * trained.shape[1]
    return 4 * (sum(w.numel() for w in below) + copies + patches)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
