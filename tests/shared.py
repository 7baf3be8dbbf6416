"""What tests of several modules start from, or compare."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tutorial_pkg.records import Record


def make_record(**changes: Any) -> Record:
    """A record of an experiment that is none, with what a test is about changed."""
    record = Record(
        experiment="table9",
        profile="quick",
        cell="model-seed0",
        config={"dataset": "digits", "widths": [100, 10], "seed": 0},
        data={"name": "digits", "checksum": "c" * 64},
        fingerprint="f" * 64,
        values={"error": 0.25, "missing": float("nan"), "far": float("inf"), "nested": [1.0, -float("inf")]},
        provenance={"seconds": 1.5, "device": "CPU", "versions": {"torch": "2"}},
        arrays={"rms": np.arange(6, dtype=np.float32).reshape(2, 3)},
    )
    return replace(record, **changes)


def weights(model: nn.Module) -> Tensor:
    """All weights of a model, in a row."""
    return torch.cat([p.detach().flatten() for p in model.parameters()])
