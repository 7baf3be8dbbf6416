"""Is a smooth classifier immune? Section 4's aside on kernel methods, put to the same attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tutorial_pkg.attacks import gaussian_noise, minimum_distortion
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.figures import Renderer, percent
from tutorial_pkg.metrics import error_rate
from tutorial_pkg.models import batched_logits
from tutorial_pkg.records import Record
from tutorial_pkg.training.kernel import fit_kernel_classifier


@dataclass(frozen=True)
class Config:
    """Size of the experiment.

    Attributes:
        gammas: widths of the kernel, smooth ones first.
        num_train: training images, one bump each.
        num_images: test images attacked.
    """

    dataset: str = "mnist"
    gammas: tuple[float, ...] = (0.003, 0.01, 0.03)
    num_train: int = 6000
    num_images: int = 200
    seed: int = 0


@dataclass(frozen=True)
class CellConfig:
    """One width."""

    dataset: str
    gamma: float
    num_train: int
    num_images: int
    seed: int


def cells(config: Config) -> dict[str, CellConfig]:
    """Return a cell for each width."""
    return {
        f"gamma{gamma:g}-seed{config.seed}": CellConfig(
            config.dataset, gamma, config.num_train, config.num_images, config.seed
        )
        for gamma in config.gammas
    }


def run(config: CellConfig, context: Context) -> Result:
    """Fit the machine, attack it untargeted, and give it noise of the same distortion."""
    data = context.dataset(config.dataset)
    generator = torch.Generator().manual_seed(config.seed)
    chosen = torch.randperm(len(data.train_labels), generator=generator)[: config.num_train]
    model = fit_kernel_classifier(
        data.train_inputs[chosen].to(context.device), data.train_labels[chosen], gamma=config.gamma
    ).eval()
    logits = batched_logits(model, data.test_inputs, device=context.device).cpu()
    correct = (logits.argmax(1) == data.test_labels).nonzero()[: config.num_images, 0]
    inputs = data.test_inputs[correct].to(context.device)
    labels = data.test_labels[correct].to(context.device)
    attack = minimum_distortion(model, inputs, labels=labels, progress=context.progress)
    rms = attack.rms_distortion.cpu().double()
    noisy = gaussian_noise(inputs, stddev=float(rms.mean()), generator=generator, box=None)
    return Result(
        {
            "test_error": error_rate(logits, data.test_labels),
            "num_attacked": len(labels),
            "success": float(attack.success.float().mean()),
            "distortion_mean": float(rms.mean()),
            "distortion_max": float(rms.max()),
            "error_under_noise": error_rate(batched_logits(model, noisy, device=context.device), labels),
        }
    )


def render(records: Sequence[Record], output: Renderer) -> None:
    """Write a row for each width."""
    rows = []
    for record in records:
        values = record.values
        sigma = (2 * record.config["gamma"]) ** -0.5
        rows.append(
            [
                f"γ = {record.config['gamma']:g} (σ = {sigma:.1f})",
                f"{100 * values['test_error']:.2f}",
                f"{100 * values['success']:.1f}",
                f"{values['distortion_mean']:.4f}",
                f"{values['distortion_max']:.4f}",
                f"{100 * values['error_under_noise']:.2f}",
            ]
        )
    _offer_values(records, output)
    output.table(
        "kernel_machine",
        [
            "Gaussian kernel",
            "test error %",
            "attack success %",
            "distortion to nearest class, mean",
            "largest",
            "error % under noise of the mean distortion",
        ],
        rows,
        caption=f"**A smooth classifier under attack.** Kernel ridge regression on {records[0].config['num_train']:,} "
        "training images; a smaller γ means wider bumps.",
    )


def _offer_values(records: Sequence[Record], output: Renderer) -> None:
    """Offer the prose what holds for all widths: ends over them."""
    found = {key: [record.values[key] for record in records] for key in records[0].values}
    output.value("success", percent(min(found["success"]), 1))
    output.value("distortion.least", f"{min(found['distortion_mean']):.3f}")
    output.value("distortion.most", f"{max(found['distortion_mean']):.3f}")
    output.value("error_under_noise", percent(max(found["error_under_noise"]), 1))
    output.value("num_widths", str(len(records)))


CONFIGS = {
    "quick": Config(dataset="digits", num_train=500, num_images=30),
    "laptop": Config(),
}
CONFIGS["paper"] = replace(CONFIGS["laptop"], num_train=20_000, num_images=1000)

EXPERIMENT = Experiment(
    name="kernel_machine",
    title="A smooth classifier under the same attack",
    section="4",
    configs=CONFIGS,
    cells=cells,
    run=run,
    render=render,
)
