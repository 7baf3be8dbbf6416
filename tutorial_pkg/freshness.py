"""Whether a record is what the present code would compute: fresh, confirmed, stale or missing.

`confirmed.json`, beside the profiles' records, lists changes of code after which a run gave the same numbers.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from tutorial_pkg.files import write_atomically
from tutorial_pkg.records import Record, RecordError, record_key, to_plain

Status = Literal["fresh", "confirmed", "stale", "missing"]


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
