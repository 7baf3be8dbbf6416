#!/usr/bin/env python3
"""What an attacked image costs as batches, images and classes grow, and how far that is from the arithmetic's floor.

    python scripts/benchmark_scaling.py               # one thread, about two minutes
    python scripts/benchmark_scaling.py --device cuda

The floor of an attack is the forward and backward passes that it made times what a pass costs; the rest is the
attack's own work. Writes `results/benchmark/scaling-DEVICE.json`.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass

import measuring
import torch
from torch import Tensor, nn

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.models import fully_connected
from tutorial_pkg.training import train_classifier

BATCH_SIZES = (1, 4, 16, 64, 256, 1024)
SIDES = (14, 28, 56, 112)
CLASSES = (10, 100, 1000)


@dataclass(frozen=True)
class Point:
    """One measurement: what was varied, and what it cost."""

    varied: str
    value: int
    images_per_second: float
    passes_per_image: float
    floor_share: float


def main() -> None:
    """Run what the command line asks for."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--n", type=int, default=256, help="images attacked a measurement")
    args = parser.parse_args()
    measuring.prepare(args)

    points = [measure("batch size", size, args, side=28, num_classes=10, batch_size=size) for size in BATCH_SIZES]
    points += [measure("image side", side, args, side=side, num_classes=10) for side in SIDES]
    points += [measure("classes", count, args, side=28, num_classes=count) for count in CLASSES]
    measuring.write(args, "scaling", {"num_images": args.n, "points": [asdict(point) for point in points]})


def measure(
    varied: str, value: int, args: argparse.Namespace, *, side: int, num_classes: int, batch_size: int | None = None
) -> Point:
    """Attack a small network trained on noisy prototypes of every class."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(max(args.n, num_classes)) % num_classes
    prototypes = torch.rand(num_classes, 1, side, side, generator=generator)
    inputs = (0.6 * prototypes[labels] + 0.4 * torch.rand(len(labels), 1, side, side, generator=generator)).clamp(0, 1)
    torch.manual_seed(0)
    model = fully_connected((side * side, 100, 100, num_classes)).to(args.device)
    inputs, labels = inputs.to(args.device), labels.to(args.device)
    train_classifier(model, inputs, labels, weight_decay=(1e-4,) * 3, max_iter=60)
    inputs, labels = inputs[: args.n], labels[: args.n]
    targets = (labels + 1) % num_classes
    size = batch_size or 256

    def attack() -> Tensor:
        return minimum_distortion(model, inputs, targets=targets, batch_size=size).num_evals

    def one_pass() -> None:
        for part, goal in zip(inputs.split(size), targets.split(size), strict=True):
            point = part.clone().requires_grad_()
            nn.functional.cross_entropy(model(point), goal).backward()

    seconds, evaluations = measuring.timed(attack, args.device)
    passes = float(evaluations.double().mean())
    floor = passes * min(measuring.timed(one_pass, args.device)[0] for _ in range(5))
    point = Point(varied, value, len(inputs) / seconds, passes, floor / seconds)
    print(
        f"{varied} {value}: {point.images_per_second:,.0f} images/s, {passes:.0f} passes, floor {floor / seconds:.0%}"
    )
    return point


if __name__ == "__main__":
    main()
