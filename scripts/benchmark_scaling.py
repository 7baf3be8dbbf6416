#!/usr/bin/env python3
"""What an attacked image costs as batches, images and classes grow, and how far that is from the arithmetic's floor.

    python scripts/benchmark_scaling.py               # one thread, about two minutes
    python scripts/benchmark_scaling.py --device cuda

The floor of an attack is the forward and backward passes that it made times what a pass costs; the rest is the
attack's own work. Writes `results/benchmark/scaling.json`.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.models import fully_connected
from tutorial_pkg.records import write_atomically
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--n", type=int, default=256, help="images attacked a measurement")
    parser.add_argument("--output", type=Path, default=Path("results/benchmark/scaling.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)  # weights of black pixels shrink below 1e-38, where some processors crawl

    points = [measure("batch size", size, args, side=28, num_classes=10, batch_size=size) for size in BATCH_SIZES]
    points += [measure("image side", side, args, side=side, num_classes=10) for side in SIDES]
    points += [measure("classes", count, args, side=28, num_classes=count) for count in CLASSES]
    cpu = f"CPU, {args.threads} thread{'s' * (args.threads > 1)}"
    content = {
        "device": torch.cuda.get_device_name() if args.device == "cuda" else cpu,
        "seconds": "elapsed" if args.device == "cuda" else "processor",
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "num_images": args.n,
        "points": [asdict(point) for point in points],
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.output, (json.dumps(content, indent=1) + "\n").encode())


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

    seconds, evaluations = timed(attack, args.device)
    passes = float(evaluations.double().mean())
    floor = passes * min(timed(one_pass, args.device)[0] for _ in range(5))
    point = Point(varied, value, len(inputs) / seconds, passes, floor / seconds)
    print(
        f"{varied} {value}: {point.images_per_second:,.0f} images/s, {passes:.0f} passes, floor {floor / seconds:.0%}"
    )
    return point


def timed(function: Callable[[], Tensor | None], device: str) -> tuple[float, Tensor]:
    """Return the seconds of a call, of the processor on a CPU, and what it gave."""
    clock = time.perf_counter if device == "cuda" else time.process_time
    if device == "cuda":
        torch.cuda.synchronize()
    start = clock()
    result = function()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - start, result if result is not None else torch.empty(0)


if __name__ == "__main__":
    main()
