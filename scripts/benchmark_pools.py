#!/usr/bin/env python3
"""What it costs to keep a pool of adversarial examples up: examples a second, by layer and by how they are made.

    python scripts/benchmark_pools.py               # one thread, on the bundled digits, under a minute
    python scripts/benchmark_pools.py --device cuda

Beside it, in the same run, the clean images a second that the same network trains on. Writes
`results/benchmark/pools-DEVICE.json`.
"""

from __future__ import annotations

import measuring
import torch

from tutorial_pkg.adversarial_training import AdversarialRecipe, Pool, PoolRecipe, train_adversarially
from tutorial_pkg.data import load_digits

LAYERS = ("input", "hidden1", "hidden2")
SOURCES = ("minimum_distortion", "linearised")
EPOCHS = 20


def main() -> None:
    """Run what the command line asks for."""
    parser = measuring.parser(__doc__)
    parser.add_argument("--n", type=int, default=2000, help="examples a pool")
    args = parser.parse_args()
    measuring.prepare(args)

    digits = load_digits()
    inputs, labels = digits.train_inputs.to(args.device), digits.train_labels.to(args.device)
    plain = AdversarialRecipe(epochs=EPOCHS, batch_size=50, weight_decay=3e-5)
    seconds, (model, _) = measuring.timed(
        lambda: train_adversarially(plain, digits, seed=0, device=args.device), args.device
    )
    rows = []
    for layer in LAYERS:
        for source in SOURCES:
            recipe = PoolRecipe(layer, source=source, capacity=args.n, replaced=1.0)
            pool = Pool(recipe, inputs, labels, torch.Generator().manual_seed(0))
            pool.refresh(model)  # fills it, and warms the code up
            refreshed, _ = measuring.timed(lambda pool=pool: pool.refresh(model), args.device)  # type: ignore[misc]
            rows.append({"layer": layer, "source": source, "examples_per_second": args.n / refreshed})
            print(f"{layer} {source}: {args.n / refreshed:,.0f} examples/s")
    clean = EPOCHS * len(labels) / seconds
    content = {"num_examples": args.n, "clean_images_per_second": clean, "refreshes": rows}
    measuring.write(args, "pools", content)


if __name__ == "__main__":
    main()
