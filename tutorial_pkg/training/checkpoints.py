"""Trained models on disk, found again by what they were trained from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from tutorial_pkg.data import Dataset
from tutorial_pkg.fingerprint import code_fingerprint
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.models.mnist import build_mnist_model
from tutorial_pkg.records import write_atomically
from tutorial_pkg.training.lbfgs import TrainingResult
from tutorial_pkg.training.recipes import train

Trainer = Callable[..., tuple[LayeredModel, TrainingResult]]
"""`train`, or another function with its arguments, such as `train_sgd`."""


def trained_model(
    recipe: Any,
    dataset: Dataset,
    *,
    seed: int,
    cache: Path,
    device: str = "cpu",
    progress: bool = False,
    trainer: Trainer = train,
) -> tuple[LayeredModel, TrainingResult]:
    """Return the model that `trainer` gives, from the cache when it was trained there before.

    The cache's key covers recipe, seed, data and the code of `trainer`, so a stale model is never found.

    Args:
        recipe: a dataclass that `trainer` takes; its field `model` names the model.
        cache: a folder; a checkpoint that cannot be read is trained again.
        trainer: what trains. It is an argument so that a record depends on its own trainer's code and on no
            other's.
    """
    identity = [asdict(recipe), seed, dataset.checksum, code_fingerprint(trainer)]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    path = cache / f"{recipe.model}-{key[:16]}.pt"
    try:
        stored = torch.load(path, map_location=device, weights_only=True)
        model = build_mnist_model(recipe.model).to(device)
        model.load_state_dict(stored["weights"])
        return model.eval(), TrainingResult(**stored["training"])
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, ValueError):
        model, result = trainer(recipe, dataset, seed=seed, device=device, progress=progress)
        cache.mkdir(parents=True, exist_ok=True)
        buffer = BytesIO()
        torch.save({"weights": model.state_dict(), "training": asdict(result)}, buffer)
        write_atomically(path, buffer.getvalue())
        return model, result
