"""What the benchmarks share: the device they run on, its clock, and the record they leave."""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from resource import getpagesize
from typing import Any, TypeVar

import torch

from tutorial_pkg.files import write_atomically
from tutorial_pkg.training.resources import peak_memory_mb

RESULTS = Path("results/benchmark")
Result = TypeVar("Result")


def parser(description: str | None, *, threads: int = 1) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--device", default="cpu", type=device)
    made.add_argument("--threads", type=int, default=threads)
    made.add_argument("--results", type=Path, default=RESULTS, help="folder of the records")
    return made


def device(name: str) -> str:
    """Return the name of a device that is here, for `argparse`."""
    available = {"cpu": True, "cuda": torch.cuda.is_available()}
    if not available.get(name):
        here = ", ".join(known for known, found in available.items() if found)
        raise argparse.ArgumentTypeError(f"no device {name!r} here; available: {here}")
    return name


def prepare(options: argparse.Namespace) -> None:
    """Set what the speed of the processor depends on."""
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)  # weights of black pixels shrink below 1e-38, where some processors crawl


def timed(function: Callable[[], Result], device: str) -> tuple[float, Result]:
    """Return the seconds of a call, of the processor on a CPU and else of the clock, and what it gave."""
    start = _now(device)
    result = function()
    return _now(device) - start, result


def _now(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def memory_in_use_mb(device: str) -> float:
    """Return the memory in use now, in MiB; where the system does not tell, the peak so far.

    What a peak rises above it is not hidden by an earlier peak, as of loading the data, which is over.
    """
    if device == "cuda":
        return torch.cuda.memory_allocated() / 2**20
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * getpagesize() / 2**20 if statm.exists() else peak_memory_mb(device)


def circumstances(options: argparse.Namespace) -> dict[str, Any]:
    """Return the part of a record that says on what it was measured."""
    packages = ("torch", "numpy", "scipy", "foolbox", "torchattacks", "adv-lib")
    installed = {d.metadata["Name"].lower(): d.version for d in metadata.distributions()}
    accelerator = torch.cuda.get_device_name() if options.device == "cuda" else None
    return {
        "machine": {"platform": platform.system(), "processor": _processor(), "accelerator": accelerator},
        "threads": options.threads,
        "device": options.device,
        "seconds": "processor" if options.device == "cpu" else "elapsed",
        "versions": {name: installed.get(name) for name in packages} | {"python": platform.python_version()},
    }


def _processor() -> str:
    """Return the processor's name where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def write(options: argparse.Namespace, name: str, content: dict[str, Any]) -> None:
    """Write a record, one file for each device, so that a killed run leaves the old one."""
    path = options.results / f"{name}-{options.device}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(circumstances(options) | content, indent=1) + "\n").encode())
    print(f"written: {path}")
