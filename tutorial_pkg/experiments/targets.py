"""Which class an attack aims at."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor


def random_other_classes(
    labels: Int[Tensor, " batch"], num_classes: int, generator: torch.Generator
) -> Int[Tensor, " batch"]:
    """Return for each label another class, each equally likely.

    Args:
        labels: in 0 … num_classes − 1, on any device.
        num_classes: at least 2.
        generator: a CPU generator, so that every device gets the same targets.
    """
    shift = torch.randint(1, num_classes, (len(labels),), generator=generator)
    return (labels + shift.to(labels.device)) % num_classes
