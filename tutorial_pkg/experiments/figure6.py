"""Figure 6: cars that QuocNet's features recognise, the nearest images that they do not, and the difference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.car_detector import (
    POSITIVES,
    RECIPES,
    as_inputs,
    detector,
    is_positive,
    trained_quocnet,
)
from tutorial_pkg.experiments.figure6_rendering import render
from tutorial_pkg.experiments.natural_images import DATASETS
from tutorial_pkg.models import batched_logits
from tutorial_pkg.training import TicaRecipe
from tutorial_pkg.transfer import same_norm_noise

NUM_SHOWN = 6
BATCH_SIZE = 144
"""Problems solved together; an untargeted attack counts nine an image, of which two classes need one."""
LONGER = (1.0, 1.5, 2.0, 3.0)
"""Factors by which perturbations are lengthened before they are rounded to bytes."""
NUM_NOISES = 10
"""Noises a car, of the length of its perturbation."""


@dataclass(frozen=True)
class Config:
    """Size of the experiment; the first fields are those of the experiment quocnet.

    Attributes:
        num_attacked: recognised validation cars attacked at most; None for all.
        max_iter: of a walk of the attack; None for its default.
    """

    dataset: str
    recipe: TicaRecipe
    positives: tuple[str, ...]
    num_negatives: int = 10_000
    num_attacked: int | None = None
    max_iter: int | None = None
    seed: int = 0


def cells(config: Config) -> dict[str, Config]:
    """Return the one cell."""
    return {f"cars-seed{config.seed}": config}


def run(config: Config, context: Context) -> Result:
    """Fit the car classifier, and find for every car that it recognises the nearest image that it does not."""
    images = context.images(config.dataset)
    model, _ = trained_quocnet(config.recipe, images, config.seed, context)
    model, probe = detector(model, images, config.positives, config.num_negatives, context)
    labels = is_positive(images.val_labels, images, config.positives)
    cars = (labels == 1).nonzero()[:, 0]
    logits = batched_logits(model, as_inputs(images.val_images), device=context.device, batch_size=50).cpu()
    recognised = cars[logits[cars].argmax(1) == 1]
    generator = torch.Generator().manual_seed(config.seed)
    chosen = recognised[torch.randperm(len(recognised), generator=generator)][: config.num_attacked]
    inputs = as_inputs(images.val_images[chosen]).to(context.device)
    attack = minimum_distortion(
        model,
        inputs,
        labels=torch.ones(len(inputs), dtype=torch.long, device=context.device),
        max_iter=config.max_iter,
        # Untied weights are read once a batch, however large: small batches, which suit small models, are slow here.
        batch_size=BATCH_SIZE,
        progress=context.progress,
    )
    rms, success = attack.rms_distortion.cpu(), attack.success.cpu()
    difference = (attack.adv_inputs - inputs).abs()
    shown = slice(0, NUM_SHOWN)
    return Result(
        values={
            "num_cars": len(cars),
            "num_recognised": len(recognised),
            "num_attacked": len(chosen),
            "accuracy": float((logits.argmax(1) == labels).float().mean()),
            "false_positive_rate": float((logits[labels == 0].argmax(1) == 1).float().mean()),
            "strength": probe.strength,
            "success": float(success.float().mean()),
            "distortion": _summary(rms[success]),
            "largest_change": _summary(difference.flatten(1).amax(1).cpu()[success]),
            "l2_norm": _summary(attack.l2_norm.cpu()[success]),
            "success_in_8_bits": {
                f"{factor:g}": _share_missed(model, _in_8_bits(inputs, attack.adv_inputs, factor)) for factor in LONGER
            },
            "missed_under_noise": _missed_under_noise(model, inputs, attack.adv_inputs, generator),
            "num_noises": NUM_NOISES,
        },
        arrays={
            "clean": _bytes(inputs[shown]),
            "adversarial": _bytes(attack.adv_inputs[shown]),
            "difference": difference[shown].movedim(1, -1).half().cpu().numpy(),
            "rms": rms.numpy(),
            "margin": (logits[chosen, 1] - logits[chosen, 0]).numpy(),
            "classes": images.val_labels[chosen].to(torch.uint8).numpy(),
        },
    )


def _summary(values: Tensor) -> dict[str, float]:
    """Return what describes a distribution; all NaN when it is empty."""
    if len(values) == 0:
        return dict.fromkeys(("mean", "median", "q05", "q95", "max"), float("nan"))
    low, median, high = (float(values.double().quantile(q)) for q in (0.05, 0.5, 0.95))
    mean, largest = float(values.double().mean()), float(values.max())
    return {"mean": mean, "median": median, "q05": low, "q95": high, "max": largest}


def _share_missed(model: Any, inputs: Tensor) -> float:
    logits = batched_logits(model, inputs, device=str(inputs.device), batch_size=50)
    return float((logits.argmax(1) == 0).float().mean())


def _in_8_bits(inputs: Tensor, adv_inputs: Tensor, factor: float) -> Tensor:
    """Return images as bytes can hold them, with the perturbations lengthened."""
    longer = (inputs + factor * (adv_inputs - inputs)).clamp(0, 1)
    return (longer * 255).round() / 255


def _missed_under_noise(model: Any, inputs: Tensor, adv_inputs: Tensor, generator: torch.Generator) -> float:
    """Return the share of cars that noise as long as their perturbations makes unrecognised."""
    clean, adversarial = inputs.cpu(), adv_inputs.cpu()
    shares = [
        _share_missed(model, same_norm_noise(clean, adversarial, generator=generator).to(inputs.device))
        for _ in range(NUM_NOISES)
    ]
    return float(np.mean(shares))


def _bytes(inputs: Tensor) -> np.ndarray:
    return (inputs * 255).round().to(torch.uint8).movedim(1, -1).cpu().numpy()


CONFIGS = {
    profile: Config(
        DATASETS[profile], RECIPES[profile], POSITIVES[profile], num_attacked=8 if profile == "quick" else None
    )
    for profile in RECIPES
}

EXPERIMENT = Experiment(
    name="figure6",
    title="Cars that QuocNet no longer recognises",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
