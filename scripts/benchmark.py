"""Distortion against time: this engine beside published attacks, on the same images in one run.

    python scripts/benchmark.py                 # every attack, 1,000 images of MNIST, one thread
    python scripts/benchmark.py --ablation      # the engine with one part left out at a time
    python scripts/benchmark.py --memory 60000  # peak memory above the data

Prints a table and writes `results/benchmark/<name>.json`. Ratios are to the smallest ‖r‖₂ that any attack of the run,
or a long walk in float64, found for the image; failures count in the success rate only. The peers are the extra
`benchmark`; one that is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import torch
from peers import Attack, Run, peers
from torch import Tensor, nn

from tutorial_pkg.attacks import boundary, minimum_distortion, quasi_newton
from tutorial_pkg.data import load_digits, load_mnist
from tutorial_pkg.models import build_model

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


def main() -> None:
    """Run what the command line asks for."""
    args = parse_arguments()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)  # weights of black pixels shrink below 1e-38, where some processors crawl
    data = load_digits() if args.data == "digits" else load_mnist(args.data_root)
    model = train(build_model(args.model), data.train_inputs, data.train_labels).to(args.device).eval()
    if args.memory:
        measure_memory(model, data.train_inputs[: args.memory].to(args.device))
        return
    inputs, labels = first_correct(model, data.test_inputs.to(args.device), data.test_labels.to(args.device), args.n)
    shift = torch.randint(1, data.num_classes, (len(labels),), generator=torch.Generator().manual_seed(0))
    targets = (labels + shift.to(args.device)) % data.num_classes
    timed = ablations() if args.ablation else list(attacks())
    rows = compare(model, inputs, {"targeted": targets, "untargeted": labels}, timed)
    print(table(rows))
    name = args.name or ("ablation" if args.ablation else f"{args.model}-{args.data}-{args.device}")
    write(Path(args.results) / f"{name}.json", record(args, len(inputs), rows))


def parse_arguments() -> argparse.Namespace:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=1000, help="test images, the first that are classified correctly")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", default="fc100-100-10", help="a name for build_model; trained here, in seconds")
    parser.add_argument("--data", choices=["mnist", "digits"], default="mnist")
    parser.add_argument("--data-root", default=None)
    parser.add_argument("--ablation", action="store_true", help="leave out one part of the engine at a time")
    parser.add_argument("--memory", type=int, default=0, metavar="N", help="only measure peak memory on N images")
    parser.add_argument("--name", help="of the record")
    parser.add_argument("--results", default="results/benchmark")
    return parser.parse_args()


def train(model: nn.Module, inputs: Tensor, labels: Tensor) -> nn.Module:
    """Train by Adam for 3,400 steps of 250 images: about 2 % test error of fc100-100-10 on MNIST."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight, gain=1.0)
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 3400)
    for _ in range(3400):
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


def attacks() -> Iterator[Attack]:
    """Yield this engine's modes, then the peers that are installed."""
    yield Attack("ours: boundary walk (default)", "targeted", ours())
    yield Attack("ours: the paper's search over c", "targeted", ours(loss="cross_entropy", polish=False))
    yield Attack("ours: the paper's search, polished", "targeted", ours(loss="cross_entropy"))
    yield Attack("ours: nearest class", "untargeted", ours("labels"))
    yield from peers()


def ours(goal: str = "targets", loss: str = "margin", polish: bool = True) -> Run:
    """Return this engine in one of its modes."""

    def run(model: nn.Module, inputs: Tensor, classes: Tensor) -> Tensor:
        if goal == "labels":
            return minimum_distortion(model, inputs, labels=classes, loss=loss, polish=polish).adv_inputs
        return minimum_distortion(model, inputs, targets=classes, loss=loss, polish=polish).adv_inputs

    return run


def ablations() -> list[Attack]:
    """Return the engine as it is, and with one part left out or changed at a time."""
    walk, nearest = ours(), ours("labels")
    return [
        Attack("as it is", "targeted", walk),
        Attack("no curvature: H = 1", "targeted", changed(walk, quasi_newton, MIN_CURVATURE=float("inf"))),
        Attack("one rival a constraint", "targeted", changed(walk, boundary, MAX_RIVALS=1)),
        Attack("four rivals constraints", "targeted", changed(walk, boundary, MAX_RIVALS=4)),
        Attack("no gradual approach", "targeted", changed(walk, boundary, APPROACH=1)),
        Attack("no overshoot", "targeted", changed(walk, boundary, OVERSHOOT=0.0)),
        Attack("steps grow by 2", "targeted", changed(walk, boundary, STEP_GROWTH=2.0)),
        Attack("history of 2 pairs", "targeted", changed(walk, boundary, HISTORY_SIZE=2)),
        Attack("history of 12 pairs", "targeted", changed(walk, boundary, HISTORY_SIZE=12)),
        Attack("as it is", "untargeted", nearest),
        Attack("no pruning of targets", "untargeted", changed(nearest, boundary, PRUNE_SLACK=float("inf"))),
    ]


def changed(run: Run, module: object, **constants: float) -> Run:
    """Return `run` with other constants in a module."""

    @contextmanager
    def replaced() -> Iterator[None]:
        before = {name: getattr(module, name) for name in constants}
        vars(module).update(constants)
        try:
            yield
        finally:
            vars(module).update(before)

    def other(model: nn.Module, inputs: Tensor, classes: Tensor) -> Tensor:
        with replaced():
            return run(model, inputs, classes)

    return other


def compare(model: nn.Module, inputs: Tensor, classes: dict[str, Tensor], timed: Iterable[Attack]) -> list[Row]:
    """Run every attack and relate its distances to the best known."""
    best = {goal: reference(model, inputs, goal, wanted) for goal, wanted in classes.items()}
    measured = []
    for attack in timed:
        num = max(1, round(SLOW * len(inputs))) if attack.slow else len(inputs)
        x, wanted = inputs[:num], classes[attack.goal][:num]
        attack.run(model, x[:2], wanted[:2])  # first calls allocate and compile
        begin = now(x.device)
        adversarial = attack.run(model, x, wanted).detach()
        seconds = now(x.device) - begin
        norm = distances(model, x, wanted, adversarial, attack.goal)
        best[attack.goal][:num] = torch.minimum(best[attack.goal][:num], norm)
        measured.append((attack, norm, seconds))
        print(f"{attack.name}, {attack.goal}: {num} images in {seconds:.2f} s", flush=True)
    rows = []
    for attack, norm, seconds in measured:
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
            )
        )
    return rows


def reference(model: nn.Module, inputs: Tensor, goal: str, classes: Tensor) -> Tensor:
    """Return the distances of a long walk in float64."""
    model.double()
    targets, labels = (classes, None) if goal == "targeted" else (None, classes)
    result = minimum_distortion(model, inputs.double(), targets=targets, labels=labels, max_iter=300)
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


def now(device: torch.device) -> float:
    """Return processor seconds on a CPU, over all threads; elsewhere elapsed seconds, after all work is done."""
    if device.type == "cpu":
        return time.process_time()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def measure_memory(model: nn.Module, inputs: Tensor) -> None:
    """Print by how much a targeted attack on all inputs raises the peak memory of the process."""
    with torch.no_grad():
        targets = (model(inputs).argmax(dim=1) + 1) % 10
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    minimum_distortion(model, inputs, targets=targets, progress=True)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{len(inputs)} images: {(after - before) / 2**20:.2f} GiB above what loading and training took")


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| attack | goal | images | success | ratio mean | median | max | images/s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.name} | {r.goal} | {r.num_images} | {r.success:.1%} | {r.ratio_mean:.4f} | {r.ratio_median:.4f} "
        f"| {r.ratio_max:.3f} | {r.images_per_second:,.1f} |"
        for r in rows
    ]
    return "\n".join(lines)


def record(args: argparse.Namespace, num_images: int, rows: list[Row]) -> dict[str, object]:
    """Return what ran, on what, and the rows."""
    packages = ("torch", "numpy", "scipy", "foolbox", "torchattacks")
    installed = {d.metadata["Name"].lower(): d.version for d in metadata.distributions()}
    accelerator = torch.cuda.get_device_name() if args.device.startswith("cuda") else None
    return {
        "machine": {"platform": platform.system(), "processor": processor(), "accelerator": accelerator},
        "threads": args.threads,
        "device": args.device,
        "seconds": "processor" if args.device == "cpu" else "elapsed",
        "versions": {name: installed.get(name) for name in packages} | {"python": platform.python_version()},
        "model": args.model,
        "data": args.data,
        "num_images": num_images,
        "rows": [asdict(row) for row in rows],
    }


def processor() -> str:
    """Return the processor's name where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def write(path: Path, content: dict[str, object]) -> None:
    """Write the record by way of a temporary file, so that a killed run leaves the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.replace(path)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
