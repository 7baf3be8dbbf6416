"""Double precision where the device has it: Apple's MPS does not."""

from __future__ import annotations

import torch
from torch import Tensor


def has_float64(device: torch.device) -> bool:
    """Return whether the device computes in float64."""
    try:
        torch.empty(0, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return False
    return True


def widest(values: Tensor) -> Tensor:
    """Return the values in float64, or as they are where their device has none.

    Example:
        >>> widest(torch.ones(2)).dtype
        torch.float64
    """
    return values.double() if has_float64(values.device) else values


def in_float64(values: Tensor) -> Tensor:
    """Return the values in float64, on their device or, where that has none, on the CPU.

    Example:
        >>> in_float64(torch.ones(2)).dtype
        torch.float64
    """
    return values.double() if has_float64(values.device) else values.cpu().double()
