"""Trained models on disk, found again by what they were trained from."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tutorial_pkg.data import Dataset, ImageDataset
from tutorial_pkg.fingerprint import code_fingerprint
from tutorial_pkg.models import build_model
from tutorial_pkg.records import write_atomically
from tutorial_pkg.training.lbfgs import TrainingResult
from tutorial_pkg.training.recipes import train

Trainer = Callable[..., tuple[Any, Any]]
"""`train`, or another function with its arguments, such as `train_sgd` or `train_images`."""


def trained_model(
    recipe: Any,
    dataset: Dataset | ImageDataset,
    *,
    seed: int,
    cache: Path,
    device: str = "cpu",
    progress: bool = False,
    trainer: Trainer = train,
    build: Callable[[], nn.Module] | None = None,
    result_type: type[Any] = TrainingResult,
    resumable: bool = False,
) -> tuple[Any, Any]:
    """Return the model that `trainer` gives, from the cache when it was trained there before.

    The cache's key covers recipe, seed, data and the code of `trainer`, so a stale model is never found.

    Args:
        recipe: a dataclass that `trainer` takes; its field `model` names the model.
        cache: a folder; a checkpoint that cannot be read is trained again.
        trainer: what trains. It is an argument so that a record depends on its own trainer's code and on no
            other's.
        build: returns a model of that kind, whose weights are then read; by default `build_model(recipe.model)`.
        result_type: the dataclass of plain values that `trainer` returns beside the model.
        resumable: whether `trainer` takes `state`, a file beside the checkpoint that holds an unfinished run.
    """
    identity = [asdict(recipe), seed, dataset.checksum, code_fingerprint(trainer)]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    path = cache / f"{recipe.model}-{key[:16]}.pt"

    def stored_model() -> tuple[Any, Any]:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        model = (build() if build else build_model(recipe.model)).to(device)
        model.load_state_dict(stored["weights"])
        return model.eval(), result_type(**stored["training"])

    try:
        return stored_model()
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, ValueError, pickle.UnpicklingError):
        unfinished = {"state": path.with_suffix(".state.pt")} if resumable else {}
        model, result = trainer(recipe, dataset, seed=seed, device=device, progress=progress, **unfinished)
        cache.mkdir(parents=True, exist_ok=True)
        buffer = BytesIO()
        weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
        torch.save({"weights": weights, "training": asdict(result)}, buffer)
        write_atomically(path, buffer.getvalue())
        # Not the trained one itself, whose weights may lie in memory in another order: rounding would differ from what
        # the next run finds.
        return stored_model()
