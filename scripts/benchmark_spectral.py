"""Time the frame bounds of AlexNet's eight layers against a full decomposition, in one run.

Each method runs in a process of its own, so that its peak memory is its own. On a machine that others use too, compare
the seconds of CPU, with one thread. The plain way takes the FFT of the
polyphase kernels on the whole grid and `torch.linalg.svdvals` of every matrix, and of each fully connected layer.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from typing import Any

import measuring
import torch

from tutorial_pkg.spectral.alexnet import ALEXNET, LayerShape
from tutorial_pkg.training.resources import peak_memory_mb

Row = dict[str, Any]


def ours(layer: LayerShape, weight: torch.Tensor) -> tuple[float, float]:
    """Return (lower, upper) by the library."""
    bounds = layer.frame_bounds(weight)
    return bounds.lower, bounds.upper


def plain(layer: LayerShape, weight: torch.Tensor) -> tuple[float, float]:
    """Return (lower, upper) by full decompositions, in float64 as well."""
    weight = weight.double()
    if weight.ndim == 2:
        values = torch.linalg.svdvals(weight)
        return values[-1].item(), values[0].item()
    lowest, highest = math.inf, 0.0
    for part in weight.chunk(layer.groups):
        values = torch.linalg.svdvals(full_symbol(part, layer.stride, layer.grid))
        lowest, highest = min(lowest, values[:, -1].min().item()), max(highest, values[:, 0].max().item())
    return lowest, highest


def full_symbol(part: torch.Tensor, stride: int, grid: int) -> torch.Tensor:
    """Return A(ω) on the whole grid: the FFT of every polyphase component, zero-padded to the map."""
    rows, channels, side = part.shape[:3]
    size = grid * stride
    padded = torch.nn.functional.pad(part, (0, size - side, 0, size - side))
    phases = padded.reshape(rows, channels, grid, stride, grid, stride).permute(0, 1, 3, 5, 2, 4)
    return torch.fft.fft2(phases).reshape(rows, -1, grid**2).permute(2, 0, 1)


METHODS = {"ours": ours, "plain": plain}


def measure(method: str, device: str, threads: int, repeats: int) -> tuple[list[Row], int]:
    """Return one row a layer, the fastest of `repeats`, and the peak memory in MB."""
    torch.set_num_threads(threads)
    compute = METHODS[method]
    compute(LayerShape("warm-up", (8, 8, 3, 3), grid=8), torch.randn(8, 8, 3, 3, device=device))
    compute(LayerShape("warm-up", (600, 700)), torch.randn(600, 700, device=device))
    rows = []
    for layer in ALEXNET:
        weight = layer.random_weight(seed=0).to(device)
        seconds, cpu_seconds = [], []
        for _ in range(repeats):
            start, cpu_start = time.perf_counter(), time.process_time()
            lower, upper = compute(layer, weight)
            seconds.append(time.perf_counter() - start)
            cpu_seconds.append(time.process_time() - cpu_start)
        timing = {"seconds": min(seconds), "cpu_seconds": min(cpu_seconds)}
        rows.append({"layer": layer.name, "lower": lower, "upper": upper} | timing)
        print(f"  {method:5} {layer.name:6} {min(seconds):8.2f} s, {min(cpu_seconds):8.2f} s of CPU", flush=True)
    return rows, peak_memory_mb(device)


def main() -> None:
    """Measure both, compare, write the record."""
    parser = measuring.parser(__doc__, threads=2)
    parser.add_argument("--repeats", type=int, default=3, help="of ours, the fastest counts; the plain way runs once")
    options = parser.parse_args()

    spawn = multiprocessing.get_context("spawn")
    results = {}
    for method, repeats in (("ours", options.repeats), ("plain", 1)):
        with spawn.Pool(1) as pool:
            results[method] = pool.apply(measure, (method, options.device, options.threads, repeats))
    (mine, my_memory), (theirs, their_memory) = results["ours"], results["plain"]
    totals = {key: (sum(r[key] for r in mine), sum(r[key] for r in theirs)) for key in ("seconds", "cpu_seconds")}
    record = {
        "totals": {
            name: {key: both[i] for key, both in totals.items()} | {"peak_memory_mb": memory}
            for i, (name, memory) in enumerate((("ours", my_memory), ("plain", their_memory)))
        },
        "layers": [
            row
            | {f"plain_{key}": other[key] for key in totals}
            | {"error": max(abs(row[b] - other[b]) for b in ("lower", "upper")) / other["upper"]}
            for row, other in zip(mine, theirs, strict=True)
        ],
    }
    measuring.write(options, "spectral", record)
    times = {key: both[1] / both[0] for key, both in totals.items()}
    print(
        f"{totals['seconds'][0]:.1f} s, {my_memory} MB; plain {totals['seconds'][1]:.1f} s, {their_memory} MB: "
        f"{times['seconds']:.1f} times faster, {times['cpu_seconds']:.1f} times in seconds of CPU"
    )


if __name__ == "__main__":
    main()
