"""What a run used."""

from __future__ import annotations

import resource
import sys

import torch


def peak_memory_mb(device: str) -> int:
    """Return the peak of the accelerator's memory in MiB, or of the process so far on a CPU."""
    if device.startswith("cuda"):
        return round(torch.cuda.max_memory_allocated() / 2**20)
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20)
