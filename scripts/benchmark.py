"""Distortion against time: this engine beside published attacks, on the same images in one run.

    python scripts/benchmark.py                          # every attack, 1,000 images of MNIST, one thread
    python scripts/benchmark.py --ablation               # the engine with one part left out at a time
    python scripts/benchmark.py --ablation --curved      # the same on a random network that curves strongly
    python scripts/benchmark.py --ablation --model conv  # the second start, on a network with kinks
    python scripts/benchmark.py --training-set           # all 60,000 training images: time and peak memory

Prints a table and writes `results/benchmark/NAME-DEVICE.json`. Ratios are to the smallest ‖r‖₂ that any attack of the
run, or this engine in float64 with a `max_iter` of 1,200, found for the image; failures count in the success rate only.
The peers are the extra `benchmark`; one that is not installed is named and left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import measuring
import torch
from contenders import ablations_of_second_start, ablations_of_walk, attacks
from peers import Attack
from torch import Tensor, nn

from tutorial_pkg.attacks import minimum_distortion
from tutorial_pkg.data import load_digits, load_mnist
from tutorial_pkg.models import build_model
from tutorial_pkg.training.resources import peak_memory_mb

STEPS = 3400  # of training
COUNTED = 20  # images on which passes are counted; the hooks would take part in the time
GAIN = 8.0  # of the random network's weights, as a multiple of 1/√(inputs of the layer)
LONG = 1200  # max_iter of what the ratios are to, besides the attacks themselves
SLOW = 0.05  # share of the images that attacks of less than about 20 images a second are run on


@dataclass(frozen=True)
class Row:
    """What one attack cost and how near it came."""

    name: str
    goal: str
    num_images: int
    success: float
    ratio_mean: float
    ratio_median: float
    ratio_max: float
    images_per_second: float
    forward_passes: float
    backward_passes: float


class Counted(nn.Module):
    """A model that counts the inputs going forward through it, and the gradients coming back."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.forward_passes = self.backward_passes = 0

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the model's logits."""
        logits: Tensor = self.model(inputs)
        self.forward_passes += len(inputs)
        if logits.requires_grad:
            logits.register_hook(self._count)
        return logits

    def _count(self, gradient: Tensor) -> None:
        self.backward_passes += len(gradient)


def main() -> None:
    """Run what the command line asks for."""
    args = parse_arguments()
    measuring.prepare(args)
    data = load_digits() if args.data == "digits" else load_mnist(args.data_root)
    built = build_model(args.model)
    model = random(built) if args.curved else train(built, data.train_inputs, data.train_labels)
    model = model.to(args.device).eval()
    described = {"model": f"{args.model}, random weights" if args.curved else args.model, "data": args.data}
    if args.training_set:
        found = attack_all(model, data.train_inputs[: args.n], data.train_labels[: args.n], args.device)
        print(found)
        measuring.write(args, "training-set", described | found)
        return
    test_inputs, test_labels = data.test_inputs.to(args.device), data.test_labels.to(args.device)
    if args.curved:
        test_labels = model(test_inputs).argmax(dim=1)
    inputs, labels = first_correct(model, test_inputs, test_labels, args.n or 1000)
    targets = other_classes(labels, data.num_classes)
    if not args.ablation:
        name, timed = f"{args.model}-{args.data}", list(attacks())
    elif args.model == "conv":
        name, timed = "ablation-kinks", ablations_of_second_start()
    else:
        name, timed = "ablation", ablations_of_walk()
    rows = compare(model, inputs, {"targeted": targets, "untargeted": labels}, timed, args.device)
    print(table(rows))
    content = described | {"num_images": len(inputs), "rows": [asdict(row) for row in rows]}
    measuring.write(args, f"{name}-curved" if args.curved else name, content)


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--n", type=int, help="images: the first 1,000 that are classified correctly, or all to train")
    parser.add_argument("--model", default="fc100-100-10", help="a name for build_model; trained here, in seconds")
    parser.add_argument("--data", choices=["mnist", "digits"], default="mnist")
    parser.add_argument("--data-root", default=None)
    parser.add_argument("--ablation", action="store_true", help="leave out one part of the engine at a time")
    parser.add_argument("--curved", action="store_true", help="random weights, large enough to bend every boundary")
    parser.add_argument("--training-set", action="store_true", help="attack all training images, and nothing else")
    return parser.parse_args()


def random(model: nn.Module) -> nn.Module:
    """Draw large weights: units that switch within the box, so that gradients say little of what is a step away."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=GAIN / module.in_features**0.5)
            nn.init.normal_(module.bias)
    return model


def other_classes(labels: Tensor, num_classes: int) -> Tensor:
    """Return a random other class for every label, the same on every device."""
    shift = torch.randint(1, num_classes, (len(labels),), generator=torch.Generator().manual_seed(0))
    return (labels + shift.to(labels.device)) % num_classes


def train(model: nn.Module, inputs: Tensor, labels: Tensor) -> nn.Module:
    """Train by Adam on batches of 250 images: about 2 % test error of fc100-100-10 on MNIST."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight, gain=1.0)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        batch = torch.randint(len(inputs), (250,))
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
        optimiser.step()
        schedule.step()
    return model


def first_correct(model: nn.Module, inputs: Tensor, labels: Tensor, num: int) -> tuple[Tensor, Tensor]:
    """Return the first `num` images that the model classifies correctly, and their labels."""
    with torch.no_grad():
        right = model(inputs).argmax(dim=1) == labels
    return inputs[right][:num], labels[right][:num]


def compare(
    model: nn.Module, inputs: Tensor, classes: dict[str, Tensor], timed: Iterable[Attack], device: str
) -> list[Row]:
    """Run every attack and relate its distances to the best known."""
    best = {goal: reference(model, inputs, goal, wanted) for goal, wanted in classes.items()}
    measured = []
    for attack in timed:
        num = max(1, round(SLOW * len(inputs))) if attack.slow else len(inputs)
        x, wanted = inputs[:num], classes[attack.goal][:num]
        counted = Counted(model).eval()
        attack.run(counted, x[:COUNTED], wanted[:COUNTED])  # first calls also allocate and compile
        seconds, adversarial = measuring.timed(lambda: attack.run(model, x, wanted).detach(), device)  # noqa: B023
        norm = distances(model, x, wanted, adversarial, attack.goal)
        best[attack.goal][:num] = torch.minimum(best[attack.goal][:num], norm)
        measured.append((attack, norm, seconds, counted))
        print(f"{attack.name}, {attack.goal}: {num} images in {seconds:.2f} s", flush=True)
    rows = []
    for attack, norm, seconds, counted in measured:
        reached = torch.isfinite(norm)
        ratio = (norm / best[attack.goal][: len(norm)])[reached]
        if not len(ratio):
            ratio = torch.full((1,), torch.nan)
        rows.append(
            Row(
                name=attack.name,
                goal=attack.goal,
                num_images=len(norm),
                success=reached.double().mean().item(),
                ratio_mean=ratio.mean().item(),
                ratio_median=ratio.median().item(),
                ratio_max=ratio.max().item(),
                images_per_second=len(norm) / seconds,
                forward_passes=counted.forward_passes / min(COUNTED, len(norm)),
                backward_passes=counted.backward_passes / min(COUNTED, len(norm)),
            )
        )
    return rows


def reference(model: nn.Module, inputs: Tensor, goal: str, classes: Tensor) -> Tensor:
    """Return the distances of long walks in float64, and where there are kinks of several, each with other noise."""
    model.double()
    targets, labels = (classes, None) if goal == "targeted" else (None, classes)
    result = minimum_distortion(model, inputs.double(), targets=targets, labels=labels, max_iter=LONG)
    model.float()
    return result.l2_norm.cpu()


def distances(model: nn.Module, inputs: Tensor, classes: Tensor, adversarial: Tensor, goal: str) -> Tensor:
    """Return ‖r‖₂ of the adversarial inputs that are in the box and do what they should, else infinity."""
    with torch.no_grad():
        predicted = model(adversarial).argmax(dim=1)
    reached = (predicted == classes) if goal == "targeted" else (predicted != classes)
    reached &= ((adversarial >= 0) & (adversarial <= 1)).flatten(1).all(dim=1)
    norm = (adversarial.double() - inputs.double()).flatten(1).norm(dim=1)
    return torch.where(reached, norm, torch.inf).cpu()


def attack_all(model: nn.Module, inputs: Tensor, labels: Tensor, device: str) -> dict[str, object]:
    """Return what a targeted attack on these images costs, and how far the memory's peak is above what they take."""
    inputs, targets = inputs.to(device), other_classes(labels, 10).to(device)
    minimum_distortion(model, inputs[:20], targets=targets[:20])  # first calls allocate
    before = measuring.memory_in_use_mb(device)
    seconds, result = measuring.timed(lambda: minimum_distortion(model, inputs, targets=targets), device)
    return {
        "num_images": len(inputs),
        "seconds_taken": seconds,
        "peak_memory_above_mb": peak_memory_mb(device) - before,
        "success": result.success.double().mean().item(),
        "rms_distortion": result.rms_distortion[result.success].double().mean().item(),
    }


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| attack | goal | images | success | ratio mean | median | max | images/s | passes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.name} | {r.goal} | {r.num_images} | {r.success:.1%} | {r.ratio_mean:.4f} | {r.ratio_median:.4f} "
        f"| {r.ratio_max:.3f} | {r.images_per_second:,.1f} | {r.forward_passes:.0f} + {r.backward_passes:.0f} |"
        for r in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
