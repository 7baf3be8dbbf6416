#!/usr/bin/env python3
"""What an untargeted attack loses by not trying every class, where there are 100 or 1,000.

    python scripts/benchmark_classes.py               # one thread, about fifteen minutes
    python scripts/benchmark_classes.py --device cuda

Every input is attacked untargeted, and then towards each of the other classes; the nearest of these is what the
untargeted attack should have found. The seeds are not those that its order of classes was chosen on. Writes
`results/benchmark/classes-DEVICE.json`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict, dataclass

import measuring
import torch
from torch import Tensor, nn

from tutorial_pkg.attacks import MinimumDistortion, minimum_distortion
from tutorial_pkg.models import fully_connected
from tutorial_pkg.training import train_classifier

SEEDS = (101, 102, 103)
SIDE = 16


@dataclass(frozen=True)
class Row:
    """What one network's inputs lost, and what they saved."""

    network: str
    num_classes: int
    seed: int
    num_images: int
    success: float
    nearest_share: float
    ratio_mean: float
    ratio_max: float
    passes: float
    passes_of_all: float
    seconds: float
    seconds_of_all: float


def sigmoid(num_classes: int) -> nn.Module:
    """Return two hidden layers of 100 sigmoid units."""
    return fully_connected((SIDE * SIDE, 100, 100, num_classes))


def convolutional(num_classes: int) -> nn.Module:
    """Return a network of kinks: two convolutions, ReLU and max pooling."""
    half = [nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*half, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32 * (SIDE // 4) ** 2, num_classes))


NETWORKS: tuple[tuple[str, Callable[[int], nn.Module], int], ...] = (
    ("sigmoid, 2 × 100", sigmoid, 100),
    ("sigmoid, 2 × 100", sigmoid, 1000),
    ("convolutions, ReLU, pooling", convolutional, 100),
)


def main() -> None:
    """Run what the command line asks for."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--n", type=int, default=40, help="inputs attacked a network")
    args = parser.parse_args()
    measuring.prepare(args)
    rows = []
    for name, build, num_classes in NETWORKS:
        for seed in SEEDS:
            rows.append(measure(name, build, num_classes, seed, args))
            print(rows[-1], flush=True)
    measuring.write(args, "classes", {"orders": [asdict(row) for row in rows]})


def measure(name: str, build: Callable[[int], nn.Module], num_classes: int, seed: int, args: argparse.Namespace) -> Row:
    """Attack untargeted and towards every class, on a network trained on noisy prototypes."""
    torch.manual_seed(seed)
    prototypes = torch.rand(num_classes, 1, SIDE, SIDE)
    labels = torch.arange(4 * num_classes) % num_classes
    inputs = (0.6 * prototypes[labels] + 0.4 * torch.rand(len(labels), 1, SIDE, SIDE)).to(args.device)
    labels = labels.to(args.device)
    model = build(num_classes).to(args.device)
    train_classifier(model, inputs, labels, weight_decay=(1e-4,) * 3, max_iter=60)  # each has three layers
    model.eval()
    with torch.no_grad():
        right = (model(inputs).argmax(dim=1) == labels).nonzero()[:, 0]
    chosen = right[torch.randperm(len(right))[: args.n].to(right.device)]
    x, truth = inputs[chosen], labels[chosen]
    seconds, found = measuring.timed(lambda: minimum_distortion(model, x, labels=truth), args.device)
    pairs = list(zip(x, truth, strict=True))
    seconds_of_all, tried = measuring.timed(lambda: [towards_all(model, *pair) for pair in pairs], args.device)
    nearest = torch.stack([result.l2_norm.min() for result in tried])
    classes = torch.stack([result.targets[result.l2_norm.argmin()] for result in tried])
    ratio = found.l2_norm / torch.minimum(nearest, found.l2_norm)
    return Row(
        name,
        num_classes,
        seed,
        len(x),
        found.success.double().mean().item(),
        (found.targets == classes).double().mean().item(),
        ratio.mean().item(),
        ratio.max().item(),
        found.num_evals.double().mean().item(),
        sum(float(result.num_evals.sum()) for result in tried) / len(x),
        seconds,
        seconds_of_all,
    )


def towards_all(model: nn.Module, x: Tensor, label: Tensor) -> MinimumDistortion:
    """Attack one input towards every other class."""
    with torch.no_grad():
        others = torch.arange(model(x[None]).shape[1], device=x.device)
    others = others[others != label]
    return minimum_distortion(model, x.expand(len(others), *x.shape), targets=others)


if __name__ == "__main__":
    main()
