"""Results on disk: one JSON file a cell, written whole or not at all.

A cell is the smallest unit of work that can be repeated alone: one model, one seed. Its record holds the
numbers, a small `.npz` beside it the arrays that figures need, and both name what they were computed from.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from tutorial_pkg.files import write_atomically


class RecordError(Exception):
    """A record is on disk and cannot be trusted: truncated, edited by hand, or without its arrays."""


@dataclass(frozen=True)
class Record:
    """The result of one cell.

    Attributes:
        experiment: name of the table or figure.
        profile: size of the run.
        cell: name of the cell in it.
        config: the cell's configuration, as plain values.
        data: name and checksum of the data set.
        fingerprint: of the code that computed it, see `fingerprint.code_fingerprint`.
        values: the numbers, by name; NaN and infinities are allowed.
        provenance: what identifies the run and not the result: device, seconds, versions, memory.
        arrays: what figures need besides the numbers.
    """

    experiment: str
    profile: str
    cell: str
    config: Mapping[str, Any]
    data: Mapping[str, str]
    fingerprint: str
    values: Mapping[str, Any]
    provenance: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """SHA-256 over everything that decides the result."""
        return record_key(self.experiment, self.cell, self.config, self.data, self.fingerprint)


def record_key(experiment: str, cell: str, config: Mapping[str, Any], data: Mapping[str, str], fingerprint: str) -> str:
    """Return the key of the record that this experiment, configuration, data and code would give: a SHA-256 in hex.

    Args:
        experiment: its name.
        cell: likewise.
        config: the cell's configuration, a mapping of plain values or what `to_plain` makes plain.
        data: name and checksum of the data set.
        fingerprint: of the experiment's code.
    """
    identity = [experiment, cell, to_plain(config), dict(data), fingerprint]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def record_path(root: Path, profile: str, experiment: str, cell: str) -> Path:
    """Return `<root>/<profile>/<experiment>/<cell>.json`.

    Args:
        root: the folder of all records.
        profile: "quick", "laptop" or "paper".
        experiment: its name.
        cell: likewise.
    """
    return root / profile / experiment / f"{cell}.json"


def write_record(root: Path, record: Record) -> Path:
    """Write a record and its arrays: both are whole on the disk before either takes the place of the old one.

    Raises:
        OSError: the disk is full or read-only; nothing of the old record is lost.
    """
    path = record_path(root, record.profile, record.experiment, record.cell)
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = {name: value for name, value in vars(record).items() if name != "arrays"}
    numbers["key"] = record.key
    files = {}
    if record.arrays:
        buffer = BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **record.arrays)
        numbers["arrays_sha256"] = hashlib.sha256(buffer.getvalue()).hexdigest()
        # The arrays go first: a JSON file never speaks of arrays that are not there yet.
        files[path.with_suffix(".npz")] = buffer.getvalue()
    text = json.dumps(_encode_floats(to_plain(numbers)), indent=1, sort_keys=True, allow_nan=False)
    files[path] = (text + "\n").encode()
    new = {file: file.with_name(f".{file.name}.new") for file in files}
    try:
        for file, content in files.items():
            write_atomically(new[file], content)
        for file in files:
            os.replace(new[file], file)
    except BaseException:
        for file in new.values():
            file.unlink(missing_ok=True)
        raise
    return path


def read_record(path: Path | str) -> Record:
    """Read a record and check it against itself.

    Raises:
        FileNotFoundError: there is no such record.
        RecordError: the file is not a whole record, or its configuration, data, code or place were changed after it
            was written; its values are believed.
    """
    path = Path(path).absolute()  # a linked folder has another name behind the link
    advice = f"Delete {path} and run scripts/build_figures.py again."
    try:
        content = _decode_floats(json.loads(path.read_text(encoding="utf-8")))
        key, arrays_sha256 = content.pop("key"), content.pop("arrays_sha256", None)
        arrays = _read_arrays(path.with_suffix(".npz"), arrays_sha256) if arrays_sha256 else {}
        record = Record(**content, arrays=arrays)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path} is damaged ({error}). {advice}") from error
    if record.key != key or record_path(Path(), record.profile, record.experiment, record.cell) != Path(
        *path.parts[-3:]
    ):
        raise RecordError(f"{path} does not match its own key or place: it was edited or moved. {advice}")
    return record


def to_plain(value: Any) -> Any:
    """Turn dataclasses, tuples, paths and NumPy scalars into what JSON has."""
    if hasattr(value, "__dataclass_fields__"):
        return to_plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, PurePath) else value


def _read_arrays(path: Path, sha256: str) -> dict[str, np.ndarray]:
    if not path.exists():
        raise ValueError(f"its arrays, {path.name}, are missing")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"its arrays, {path.name}, are not the ones it was written with")
    with np.load(BytesIO(content), allow_pickle=False) as archive:
        return dict(archive)


def _encode_floats(value: Any) -> Any:
    """Write NaN and infinities as {"float": "nan"}, since JSON has no word for them."""
    if isinstance(value, dict):
        return {k: _encode_floats(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_encode_floats(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    return value


def _decode_floats(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"float"}:
            return float(value["float"])
        return {k: _decode_floats(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_decode_floats(v) for v in value]
    return value
