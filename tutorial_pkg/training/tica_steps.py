"""What a step of reconstruction TICA takes, for a network of any size: seconds and memory."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tutorial_pkg.models import LayeredModel
from tutorial_pkg.models.quocnet import LocalFilters, QuocNetConfig, quocnet
from tutorial_pkg.training.resources import peak_memory_mb
from tutorial_pkg.training.tica import TicaRecipe, first_weights, stage_modules, stage_optimizer, tica_cost


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
