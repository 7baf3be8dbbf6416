"""Trained models on disk, found again by what they were trained from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import torch

from tutorial_pkg.data import Dataset
from tutorial_pkg.fingerprint import code_fingerprint
from tutorial_pkg.models import LayeredModel
from tutorial_pkg.models.mnist import build_mnist_model
from tutorial_pkg.records import write_atomically
from tutorial_pkg.training.lbfgs import TrainingResult
from tutorial_pkg.training.recipes import Recipe, train


def trained_model(
    recipe: Recipe,
    dataset: Dataset,
    *,
    seed: int,
    cache: Path,
    device: str = "cpu",
    progress: bool = False,
) -> tuple[LayeredModel, TrainingResult]:
    """Return the model that `train` gives, from the cache when it was trained there before.

    The cache's key covers recipe, seed, data and the code of `train`, so a stale model is never found.

    Args:
        cache: a folder; a checkpoint that cannot be read is trained again.
    """
    identity = [asdict(recipe), seed, dataset.checksum, code_fingerprint(train)]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    path = cache / f"{recipe.model}-{key[:16]}.pt"
    try:
        stored = torch.load(path, map_location=device, weights_only=True)
        model = build_mnist_model(recipe.model).to(device)
        model.load_state_dict(stored["weights"])
        return model.eval(), TrainingResult(**stored["training"])
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, ValueError):
        model, result = train(recipe, dataset, seed=seed, device=device, progress=progress)
        cache.mkdir(parents=True, exist_ok=True)
        buffer = BytesIO()
        torch.save({"weights": model.state_dict(), "training": asdict(result)}, buffer)
        write_atomically(path, buffer.getvalue())
        return model, result
