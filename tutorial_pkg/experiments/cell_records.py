"""The records of an experiment's cells: which there are to be, which there are, and whether they are fresh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tutorial_pkg.experiments.base import PROFILES, Experiment
from tutorial_pkg.freshness import Confirmation, Status, confirmation_chain, read_confirmations, status
from tutorial_pkg.records import Record, RecordError, read_record, record_path


def planned_cells(experiment: Experiment, profile: str, seed: int | None = None) -> dict[str, Any]:
    """Return the cells of an experiment in a profile."""
    config = experiment.configs[profile]
    return experiment.cells(config if seed is None else replace(config, seed=seed))


def cell_status(
    experiment: Experiment,
    profile: str,
    cell: str,
    config: Any,
    results: Path,
    confirmations: Sequence[Confirmation],
    checksum: str | None = None,
) -> tuple[Status, Record | None]:
    """Read a cell's record and say whether it is fresh."""
    path = record_path(results, profile, experiment.name, cell)
    record = read_record(path) if path.exists() else None
    return status(record, config, experiment.fingerprint, checksum, confirmations), record


def cell_states(
    experiments: Sequence[Experiment], profile: str, seed: int | None, results: Path
) -> Iterator[tuple[str, str, str]]:
    """Yield each experiment's and cell's name, and the state of its record or what is wrong with it."""
    confirmations = read_confirmations(results)
    for experiment in experiments:
        for cell, config in planned_cells(experiment, profile, seed).items():
            try:
                state: str = cell_status(experiment, profile, cell, config, results, confirmations)[0]
            except RecordError as error:
                state = f"damaged: {error}"
            yield experiment.name, cell, state


def complete_records(
    experiment: Experiment, results: Path, confirmations: Sequence[Confirmation]
) -> Iterator[tuple[list[Record], bool, str]]:
    """Yield the records of each complete profile, the largest first, and what has become of their code.

    That is whether any of them is stale, and the smallest profile in which the code of any was confirmed.
    """
    for profile in reversed(PROFILES):
        found = [
            cell_status(experiment, profile, cell, config, results, confirmations)
            for cell, config in planned_cells(experiment, profile).items()
        ]
        records = [record for _, record in found if record is not None]
        if len(records) == len(found):
            now = experiment.fingerprint
            profiles = {
                link.profile
                for record in records
                for link in confirmation_chain(confirmations, experiment.name, record.fingerprint, now)
            }
            confirmed_in = min(profiles, key=PROFILES.index, default="")
            yield records, any(state == "stale" for state, _ in found), confirmed_in
