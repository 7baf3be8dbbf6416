"""Results on disk: one JSON file a cell, written whole or not at all, and known to be fresh, confirmed or stale.

A cell is the smallest unit of work that can be repeated alone: one model, one seed. Its record holds the
numbers, a small `.npz` beside it the arrays that figures need, and both name what they were computed from.
`confirmed.json`, beside the profiles, lists changes of code after which a run gave the same numbers.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np

Status = Literal["fresh", "confirmed", "stale", "missing"]


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


@dataclass(frozen=True)
class Confirmation:
    """A change of an experiment's code after which a run on one machine gave the same numbers.

    Attributes:
        experiment: name of the table or figure.
        before: fingerprint of the code before the change, "from" in the file.
        after: fingerprint of the code after it, "to" in the file.
        profile: size of that run.
        cells: how many were compared.
        largest_difference: between two of their numbers, relative to the larger.
    """

    experiment: str
    before: str
    after: str
    profile: str
    cells: int
    largest_difference: float


CONFIRMED = "confirmed.json"
_IN_FILE = {"before": "from", "after": "to"}
_IN_CODE = {"from": "before", "to": "after"}  # `from` is Python's


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
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"{path} is damaged ({error}). {advice}") from error
    if record.key != key or record_path(Path(), record.profile, record.experiment, record.cell) != Path(
        *path.parts[-3:]
    ):
        raise RecordError(f"{path} does not match its own key or place: it was edited or moved. {advice}")
    return record


def status(
    record: Record | None,
    config: object,
    fingerprint: str,
    checksum: str | None = None,
    confirmations: Sequence[Confirmation] = (),
) -> Status:
    """Say whether a record is what the present code and configuration would compute.

    Args:
        record: the record on disk, or None.
        config: the cell's configuration now.
        fingerprint: the code's fingerprint now.
        checksum: of the data now; None when they are not at hand, which takes the record's word for it.
        confirmations: of changes of the code; a record that they connect to the present code is confirmed.
    """
    if record is None:
        return "missing"
    data = {**record.data, "checksum": checksum or record.data["checksum"]}
    identity = record.experiment, record.cell, to_plain(config), data
    if record_key(*identity, fingerprint) == record.key:
        return "fresh"
    if record_key(*identity, record.fingerprint) != record.key:  # not only the code has changed
        return "stale"
    chain = confirmation_chain(confirmations, record.experiment, record.fingerprint, fingerprint)
    return "confirmed" if chain else "stale"


def confirmation_chain(
    confirmations: Sequence[Confirmation], experiment: str, start: str, end: str
) -> list[Confirmation]:
    """Return the fewest confirmations that lead from one fingerprint of an experiment to another, [] if none do.

    A confirmation says that two codes give the same numbers, so it may be followed in either direction.

    Args:
        confirmations: of any experiments, as `read_confirmations` returns them.
        experiment: whose confirmations count.
        start: the fingerprint that it begins with.
        end: the one that it ends with; from one to itself the chain is empty, too.
    """
    chains: dict[str, list[Confirmation]] = {start: []}
    pending = deque([start])
    while pending and end not in chains:
        here = pending.popleft()
        for link in confirmations:
            if link.experiment == experiment and here in (link.before, link.after):
                there = link.after if here == link.before else link.before
                if there not in chains:
                    chains[there] = [*chains[here], link]
                    pending.append(there)
    return chains.get(end, [])


def read_confirmations(root: Path) -> list[Confirmation]:
    """Read `<root>/confirmed.json`; without that file there are none.

    Raises:
        RecordError: the file is not a list of whole confirmations.
    """
    path = root / CONFIRMED
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(entries, list):
            raise ValueError("it is not a list")
        return [Confirmation(**{_IN_CODE.get(name, name): value for name, value in e.items()}) for e in entries]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, AttributeError) as error:
        raise RecordError(
            f"{path} is damaged ({error}). Restore it with git, or delete it and run scripts/confirm_records.py again."
        ) from error


def write_confirmations(root: Path, confirmations: Sequence[Confirmation]) -> None:
    """Write `<root>/confirmed.json`, whole or not at all."""
    entries = [{_IN_FILE.get(name, name): value for name, value in asdict(c).items()} for c in confirmations]
    root.mkdir(parents=True, exist_ok=True)
    write_atomically(root / CONFIRMED, (json.dumps(entries, indent=1, allow_nan=False) + "\n").encode())


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content by way of a temporary file, fsync and rename."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would make records unreadable for others
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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
