"""Figure 5: photographs, the smallest changes that AlexNet takes for another class, and those changes magnified."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from tutorial_pkg.attacks import MinimumDistortion, minimum_distortion
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.figure5_rendering import render
from tutorial_pkg.experiments.natural_images import DATASETS, RECIPES, as_bytes, trained_alexnet, validation_inputs
from tutorial_pkg.models import batched_logits
from tutorial_pkg.training import ImageRecipe

MAGNIFIED = 10
"""The paper's factor for the perturbation, which is then shifted by 128 and clamped."""
NUM_SHOWN = 6


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        dataset: for `data.load_images`.
        recipe: the network and its training.
        far_class: the class that every image is to be taken for, as the paper's are for an ostrich.
        num_images: validation images attacked, drawn at random from those that are classified correctly and are not of
            `far_class`.
        num_nearest: the first ones of these, for the nearest class, which takes nine times as long.
        seed: of the network and of the draw.
    """

    dataset: str
    recipe: ImageRecipe
    far_class: str
    num_images: int = 64
    num_nearest: int = 64
    seed: int = 0


@dataclass(frozen=True)
class CellConfig:
    """One way to choose the other class: "far" or "nearest", or "penalty", the paper's method with the far class."""

    dataset: str
    recipe: ImageRecipe
    far_class: str
    num_images: int
    goal: str
    seed: int


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell for each goal."""
    counts = {"far": config.num_images, "penalty": config.num_images, "nearest": config.num_nearest}
    return {
        f"{goal}-seed{config.seed}": CellConfig(
            config.dataset, config.recipe, config.far_class, count, goal, config.seed
        )
        for goal, count in counts.items()
    }


def run(config: CellConfig, context: Context) -> Result:
    """Attack images that are classified correctly, and shift them by as much noise for comparison."""
    images = context.images(config.dataset)
    model, _ = trained_alexnet(config.recipe, images, config.seed, context)
    inputs, labels = validation_inputs(config.recipe, images), images.val_labels
    far = images.class_names.index(config.far_class)
    correct = batched_logits(model, inputs, device=context.device, batch_size=250).argmax(1).cpu() == labels
    eligible = (correct & (labels != far)).nonzero()[:, 0]
    generator = torch.Generator().manual_seed(config.seed)
    chosen = eligible[torch.randperm(len(eligible), generator=generator)[: config.num_images]]
    x, y = inputs[chosen].to(context.device), labels[chosen].to(context.device)
    attack = _attack(config, model, x, y, torch.full_like(y, far), context)
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    noise *= (attack.l2_norm / noise.flatten(1).norm(dim=1))[:, None, None, None]
    with torch.no_grad():
        noisy = model((x + noise).clamp(0, 1)).argmax(1)
        rounded = model((attack.adv_inputs * 255).round() / 255).argmax(1)
    rms = attack.rms_distortion.cpu().double()
    shown = slice(0, NUM_SHOWN)
    difference = (attack.adv_inputs - x)[shown]
    return Result(
        values={
            "num_correct": int(correct.sum()),
            "num_attacked": len(y),
            "num_pixels": x[0].numel(),
            "success": float(attack.success.float().mean()),
            "distortion_mean": float(rms.mean()),
            "distortion_median": float(rms.median()),
            "distortion_max": float(rms.max()),
            "l2_norm_mean": float(attack.l2_norm.cpu().double().mean()),
            "largest_change_mean": float((attack.adv_inputs - x).abs().flatten(1).amax(1).mean()),
            "error_noise": float((noisy != y).float().mean()),
            "error_rounded": float((rounded != y).float().mean()),
            "labels": [images.class_names[i] for i in y[shown].tolist()],
            "targets": [images.class_names[i] for i in attack.targets[shown].tolist()],
        },
        arrays={
            "rms": rms.float().numpy(),
            "clean": as_bytes(x[shown]),
            "adversarial": as_bytes(attack.adv_inputs[shown]),
            # As the paper shows it, on the scale of bytes: (10 r + 128), clamped.
            "difference": as_bytes(MAGNIFIED * difference + 128 / 255),
        },
    )


def _attack(
    config: CellConfig, model: torch.nn.Module, x: Tensor, y: Tensor, far: Tensor, context: Context
) -> MinimumDistortion:
    if config.goal == "nearest":
        return minimum_distortion(model, x, labels=y, progress=context.progress)
    if config.goal == "far":
        return minimum_distortion(model, x, targets=far, progress=context.progress)
    return minimum_distortion(model, x, targets=far, loss="cross_entropy", polish=False, progress=context.progress)


CONFIGS = {
    "quick": Config(DATASETS["quick"], RECIPES["quick"], "flower, top left", num_images=6, num_nearest=6),
    "laptop": Config(DATASETS["laptop"], RECIPES["laptop"], "goose"),
}
CONFIGS["paper"] = replace(CONFIGS["laptop"], recipe=RECIPES["paper"])

EXPERIMENT = Experiment(
    name="figure5",
    title="Adversarial photographs for AlexNet",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=partial(render, magnified=MAGNIFIED),
)
