"""Trained models on disk, found again by what they were trained from."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import nn

from tutorial_pkg.data import Dataset, ImageDataset
from tutorial_pkg.fingerprint import code_fingerprint
from tutorial_pkg.models import build_model
from tutorial_pkg.training.lbfgs import TrainingResult
from tutorial_pkg.training.recipes import train
from tutorial_pkg.training.tensor_files import DamagedFileError, read_tensors, write_tensors

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
        stored = read_tensors(path, "weights", "training")
        model = (build() if build else build_model(recipe.model)).to(device)
        return _restored(model, stored, result_type)

    try:
        return stored_model()
    except FileNotFoundError:
        pass
    except DamagedFileError as error:
        warnings.warn(f"{path} is trained again and replaced: {error}", stacklevel=2)
    unfinished = {"state": path.with_suffix(".state.pt")} if resumable else {}
    model, result = trainer(recipe, dataset, seed=seed, device=device, progress=progress, **unfinished)
    weights = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    write_tensors(path, {"weights": weights, "training": asdict(result)})
    # Not the trained one itself, whose weights may lie in memory in another order: rounding would differ from what
    # the next run finds.
    return stored_model()


def _restored(model: nn.Module, stored: dict[str, Any], result_type: type[Any]) -> tuple[Any, Any]:
    """Return a model with the weights of a checkpoint, and what its training reported.

    Raises:
        DamagedFileError: they are another model's or another training's, or none.
    """
    if not all(isinstance(part, dict) for part in stored.values()):
        raise DamagedFileError("the file holds no trained model")
    expected, found = (
        {name: w.shape for name, w in state.items()} for state in (model.state_dict(), stored["weights"])
    )
    if found != expected:
        raise DamagedFileError("the weights in it are those of another model")
    try:
        result = result_type(**stored["training"])
    except TypeError as error:
        raise DamagedFileError(f"what it says of the training is no {result_type.__name__}") from error
    model.load_state_dict(stored["weights"])
    return model.eval(), result
