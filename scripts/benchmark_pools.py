#!/usr/bin/env python3
"""What it costs to keep a pool of adversarial examples up: examples a second, by layer and by how they are made.

    python scripts/benchmark_pools.py               # one thread, on the bundled digits, under a minute
    python scripts/benchmark_pools.py --device cuda

Beside it, in the same run, the clean images a second that the same network trains on. Writes
`results/benchmark/pools.json`.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import torch
from benchmark_scaling import timed

from tutorial_pkg.adversarial_training import AdversarialRecipe, Pool, PoolRecipe, train_adversarially
from tutorial_pkg.data import load_digits
from tutorial_pkg.records import write_atomically

LAYERS = ("input", "hidden1", "hidden2")
SOURCES = ("minimum_distortion", "linearised")
EPOCHS = 20


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--n", type=int, default=2000, help="examples a pool")
    parser.add_argument("--output", type=Path, default=Path("results/benchmark/pools.json"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)  # weights of black pixels shrink below 1e-38, where some processors crawl

    digits = load_digits()
    inputs, labels = digits.train_inputs.to(args.device), digits.train_labels.to(args.device)
    plain = AdversarialRecipe(epochs=EPOCHS, batch_size=50, weight_decay=3e-5)
    trained = []
    seconds, _ = timed(
        lambda: trained.append(train_adversarially(plain, digits, seed=0, device=args.device)[0]), args.device
    )
    rows = []
    for layer in LAYERS:
        for source in SOURCES:
            recipe = PoolRecipe(layer, source=source, capacity=args.n, replaced=1.0)
            pool = Pool(recipe, inputs, labels, torch.Generator().manual_seed(0))
            pool.refresh(trained[0])  # fills it, and warms the code up
            refreshed, _ = timed(lambda pool=pool: pool.refresh(trained[0]), args.device)  # type: ignore[misc]
            rows.append({"layer": layer, "source": source, "examples_per_second": args.n / refreshed})
            print(f"{layer} {source}: {args.n / refreshed:,.0f} examples/s")
    cpu = f"CPU, {args.threads} thread{'s' * (args.threads > 1)}"
    content = {
        "device": torch.cuda.get_device_name() if args.device == "cuda" else cpu,
        "seconds": "elapsed" if args.device == "cuda" else "processor",
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
        "num_examples": args.n,
        "clean_images_per_second": EPOCHS * len(labels) / seconds,
        "refreshes": rows,
    }
    args.output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.output, (json.dumps(content, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
