"""Trained models on disk, found again by what they were trained from."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import ZipFile

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


class CheckpointError(ValueError):
    """A file in the cache is no checkpoint of the model that was asked for."""


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
        dataset: what to train on; its checksum is part of the key.
        seed: for `trainer`, likewise.
        cache: a folder. A model that is not there is trained, and so is one whose file is damaged or another
            model's, with a warning that names the file.
        device: "cpu", "cuda" or "mps", to train on and to leave the model on; a checkpoint serves all of them.
        progress: show a progress bar while training.
        trainer: what trains. It is an argument so that a record depends on its own trainer's code and on no
            other's.
        build: returns a model of that kind, whose weights are then read; by default `build_model(recipe.model)`.
        result_type: the dataclass of plain values that `trainer` returns beside the model.
        resumable: whether `trainer` takes `state`, a file beside the checkpoint that holds an unfinished run.

    Returns:
        The model in evaluation mode, and what `trainer` returned beside it.

    Raises:
        OSError: a checkpoint is there and cannot be read, for want of permission for instance. Too little memory
            for a model raises as it does elsewhere; nothing is trained again for it.
    """
    identity = [asdict(recipe), seed, dataset.checksum, code_fingerprint(trainer)]
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    path = cache / f"{recipe.model}-{key[:16]}.pt"

    def stored_model() -> tuple[Any, Any]:
        stored = _read(path)
        model = (build() if build else build_model(recipe.model)).to(device)
        return _restored(model, stored, result_type)

    try:
        return stored_model()
    except FileNotFoundError:
        pass
    except CheckpointError as error:
        warnings.warn(f"{path} is trained again and replaced: {error}", stacklevel=2)
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


def _read(path: Path) -> dict[str, Any]:
    """Return what a checkpoint holds.

    The file is checked before PyTorch reads it, whose errors do not tell a damaged file from too little memory.

    Raises:
        CheckpointError: the file is damaged or no checkpoint.
        OSError: it cannot be read; a `FileNotFoundError` if it is not there.
    """
    try:
        with ZipFile(path) as archive:
            is_whole = archive.testzip() is None and any(name.endswith("/data.pkl") for name in archive.namelist())
    except (OSError, MemoryError):
        raise
    except Exception as error:  # zipfile raises many kinds for a file that is no archive or part of one
        raise CheckpointError(f"the file is damaged ({error})") from error
    if not is_whole:
        raise CheckpointError("the file is damaged or no checkpoint")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError("the file holds something else than weights and plain values") from error
    if not (isinstance(stored, dict) and all(isinstance(stored.get(key), dict) for key in ("weights", "training"))):
        raise CheckpointError("the file holds no trained model")
    return stored


def _restored(model: nn.Module, stored: dict[str, Any], result_type: type[Any]) -> tuple[Any, Any]:
    """Return a model with the weights of a checkpoint, and what its training reported.

    Raises:
        CheckpointError: they are another model's or another training's.
    """
    expected, found = (
        {name: w.shape for name, w in state.items()} for state in (model.state_dict(), stored["weights"])
    )
    if found != expected:
        raise CheckpointError("the weights in it are those of another model")
    try:
        result = result_type(**stored["training"])
    except TypeError as error:
        raise CheckpointError(f"what it says of the training is no {result_type.__name__}") from error
    model.load_state_dict(stored["weights"])
    return model.eval(), result
