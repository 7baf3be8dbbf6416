"""Figure 7: digits, their adversarial twins, and digits under Gaussian noise of standard deviation 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from matplotlib.figure import Figure

from tutorial_pkg import paper
from tutorial_pkg.attacks import gaussian_noise, minimum_distortion
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.experiments.targets import random_other_classes
from tutorial_pkg.figures import Renderer, image_grid, percent
from tutorial_pkg.metrics import error_rate
from tutorial_pkg.models import batched_logits
from tutorial_pkg.records import Record
from tutorial_pkg.training import TABLE1_RECIPES, Recipe, limited, train

NUM_SHOWN = 10
PANELS = {"softmax1": "a linear (softmax) classifier", "N200-200-10": "a 200-200-10 sigmoid network"}


@dataclass(frozen=True)
class Config:
    """Size of the experiment; the fields are Table 1's.

    Attributes:
        num_images: test images attacked; the first ones that are classified correctly are shown.
        noise_stddev: of the Gaussian noise, in the pixels' unit.
    """

    dataset: str = "mnist"
    num_images: int | None = 1000
    seed: int = 0
    max_iter: int | None = None
    noise_stddev: float = 1.0


@dataclass(frozen=True)
class CellConfig:
    """One of the figure's two models."""

    dataset: str
    name: str
    recipe: Recipe
    num_images: int | None
    seed: int
    noise_stddev: float


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell for each of the two models."""
    result = {}
    for name in PANELS:
        used = limited(TABLE1_RECIPES[name], config.max_iter)
        result[f"{name}-seed{config.seed}"] = CellConfig(
            config.dataset, name, used, config.num_images, config.seed, config.noise_stddev
        )
    return result


def run(config: CellConfig, context: Context) -> Result:
    """Attack test images, add noise to the same images, and compare how often the model is right."""
    data = context.dataset(config.dataset)
    model, _ = context.trained(config.recipe, data, config.seed, train)
    generator = torch.Generator().manual_seed(config.seed)
    inputs = data.test_inputs[: config.num_images].to(context.device)
    labels = data.test_labels[: config.num_images].to(context.device)
    correct = batched_logits(model, inputs, device=context.device).argmax(1) == labels
    inputs, labels = inputs[correct], labels[correct]
    targets = random_other_classes(labels, data.num_classes, generator)
    attack = minimum_distortion(model, inputs, targets=targets, progress=context.progress)
    noisy = gaussian_noise(inputs, stddev=config.noise_stddev, generator=generator, box=None)
    distorted = {"adversarial": attack.adv_inputs, "noise": noisy, "noise_clipped": noisy.clamp(0, 1)}
    accuracy = {
        name: 1 - error_rate(batched_logits(model, images, device=context.device), labels)
        for name, images in distorted.items()
    }
    shown = slice(0, NUM_SHOWN)
    return Result(
        values={
            "num_attacked": len(labels),
            "distortion_mean": float(attack.rms_distortion.cpu().double().mean()),
            "success": float(attack.success.float().mean()),
            **{f"accuracy_{name}": value for name, value in accuracy.items()},
        },
        arrays={
            "clean": _as_bytes(inputs[shown]),
            "adversarial": _as_bytes(attack.adv_inputs[shown]),
            "noisy": _as_bytes(distorted["noise_clipped"][shown]),
            "labels": labels[shown].cpu().numpy(),
            "targets": targets[shown].cpu().numpy(),
        },
    )


def render(records: Sequence[Record], output: Renderer) -> None:
    """Draw the three panels: two models' adversarial pairs, and noise."""
    for record in records:
        name = record.config["name"]
        output.figure(
            f"pairs-{name}",
            pairs_figure(record),
            caption=f"**Figure 7, {PANELS[name]}.** Odd columns: test images with their class; even columns: "
            f"the nearest image that the model calls the class after the arrow, one of the others at random. "
            f"Mean distortion {record.values['distortion_mean']:.3f} (the paper's stddev: "
            f"{paper.FIGURE7_DISTORTION[name]:g}).",
            alt=f"Pairs of digits, before and after the smallest change that fools {PANELS[name]}",
        )
        _offer_values(record, output)
    noise = records[-1]
    right = "; ".join(
        f"{record.config['name']} {100 * record.values['accuracy_noise_clipped']:.1f} % "
        f"({100 * record.values['accuracy_noise']:.1f} % without clipping)"
        for record in records
    )
    output.figure(
        "noise",
        image_grid(_two_rows(noise.arrays["clean"], noise.arrays["noisy"])),
        caption=f"**Figure 7, noise.** Test digits under Gaussian noise of standard deviation "
        f"{noise.config['noise_stddev']:g}, shown clipped to [0, 1]. Right on digits clipped like these, of those "
        f"right unaltered: {right}.",
        alt="Digits next to the same digits under strong Gaussian noise",
    )
    _write_accuracy(records, output)


def _write_accuracy(records: Sequence[Record], output: Renderer) -> None:
    output.table(
        "accuracy",
        ["model", "adversarial", "noise", "noise, clipped to [0, 1]", "noise (paper)"],
        [
            [
                record.config["name"],
                *(
                    f"{100 * record.values[f'accuracy_{kind}']:.1f}&nbsp;%"
                    for kind in ("adversarial", "noise", "noise_clipped")
                ),
                f"{paper.FIGURE7_NOISE_ACCURACY:g}&nbsp;%",
            ]
            for record in records
        ],
        caption="**Accuracy on distorted digits**, of those that the model gets right unaltered. The paper gives one "
        "number for the noise and does not say for which model or whether pixels were clipped.",
    )


def _offer_values(record: Record, output: Renderer) -> None:
    name = record.config["name"]
    output.value(f"{name}.paper_distortion", f"{paper.FIGURE7_DISTORTION[name]:g}")
    for key, value in record.values.items():
        is_rate = key.startswith("accuracy") or key == "success"
        text = percent(value, 1) if is_rate else f"{value:.3f}" if key != "num_attacked" else f"{value:,}"
        output.value(f"{name}.{key}", text)


def pairs_figure(record: Record) -> Figure:
    """Draw a record's images in two rows, each next to its adversarial twin."""
    arrays = record.arrays
    titles = [
        text
        for label, target in zip(arrays["labels"], arrays["targets"], strict=True)
        for text in (str(label), f"→ {target}")
    ]
    half = len(titles) // 2
    return image_grid(
        _two_rows(arrays["clean"], arrays["adversarial"]), titles=[titles[:half], titles[half:]], text_size=12
    )


def _two_rows(first: np.ndarray, second: np.ndarray) -> list[list[np.ndarray]]:
    """Arrange pairs of images side by side in two rows."""
    images = [image for pair in zip(first, second, strict=True) for image in pair]
    half = len(images) // 2
    return [images[:half], images[half:]]


def _as_bytes(images: torch.Tensor) -> np.ndarray:
    return (images[:, 0] * 255).round().to(torch.uint8).cpu().numpy()


CONFIGS = {
    "quick": Config(dataset="digits", num_images=60, max_iter=60),
    "laptop": Config(),
}
CONFIGS["paper"] = replace(CONFIGS["laptop"], num_images=None)

EXPERIMENT = Experiment(
    name="figure7",
    title="Adversarial digits beside noisy ones",
    section="4.2",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
