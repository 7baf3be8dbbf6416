"""Trained models and unfinished runs on disk: written in one step, and checked before what is in them is believed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import ZipFile

import torch

from tutorial_pkg.files import write_atomically


class DamagedFileError(ValueError):
    """A file is there and is not what it should be: truncated, altered, or of another kind."""


def write_tensors(path: Path, content: Mapping[str, Any]) -> None:
    """Write tensors and plain values by name, whole or not at all; the folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = BytesIO()
    torch.save(dict(content), buffer)
    write_atomically(path, buffer.getvalue())


def read_tensors(path: Path, *names: str) -> dict[str, Any]:
    """Return what `write_tensors` wrote, on the CPU.

    The file is checked before PyTorch reads it, whose errors do not tell a damaged file from too little memory.

    Args:
        path: the file.
        names: that have to be in it.

    Raises:
        DamagedFileError: the file is damaged, or holds something else.
        OSError: it cannot be read; a `FileNotFoundError` if it is not there.
    """
    try:
        with ZipFile(path) as archive:
            is_whole = archive.testzip() is None and any(name.endswith("/data.pkl") for name in archive.namelist())
    except (OSError, MemoryError):
        raise
    except Exception as error:  # zipfile raises many kinds for a file that is no archive or part of one
        raise DamagedFileError(f"the file is damaged ({error})") from error
    if not is_whole:
        raise DamagedFileError("the file is damaged or holds no tensors")
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise DamagedFileError("the file holds something else than tensors and plain values") from error
    if not isinstance(stored, dict) or not stored.keys() >= set(names):
        raise DamagedFileError(f"the file does not hold {', '.join(names)}")
    return stored


def read_unfinished(path: Path | None, *names: str) -> dict[str, Any] | None:
    """Return what an interrupted run left, None where it left nothing or a damaged file, of which a warning tells."""
    if path is None:
        return None
    try:
        return read_tensors(path, *names)
    except FileNotFoundError:
        return None
    except DamagedFileError as error:
        warnings.warn(f"the run that {path} holds begins anew: {error}", stacklevel=3)
        return None
