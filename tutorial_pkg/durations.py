"""How long each experiment takes in each profile, for those who want to run one: a table from the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from tutorial_pkg.figures import caption_block, markdown_table, write_if_changed
from tutorial_pkg.records import Record

Runs = Mapping[str, Mapping[str, Sequence[Record]]]
"""The records of every experiment that are complete, by experiment and profile."""

Times = Mapping[str, tuple[float, bool]]
"""Experiment → its seconds, and whether a part of them had to be filled in."""

AT_ONCE = 0.1
"""A cell that took less than this share of what one like it took found its models in the cache."""


def write_durations(root: Path, runs: Runs, profiles: Sequence[str]) -> dict[str, str]:
    """Write `durations/experiments.md` below `docs/_generated`.

    Args:
        root: the folder of generated fragments.
        runs: what was computed.
        profiles: in the order of the columns, from the smallest.

    Returns:
        For prose, the time of all experiments that are complete in a profile as `durations.<profile>`, and how many
        of all are complete as `durations.<profile>.experiments`.
    """
    times = {
        profile: {name: from_empty_cache(found, profile, profiles) for name, found in runs.items() if profile in found}
        for profile in profiles
    }
    write_if_changed(
        root / "durations" / "experiments.md", f"{_table(runs, times)}\n\n{caption_block(_caption(runs, profiles))}\n"
    )
    values = {}
    for profile, found in times.items():
        values[f"durations.{profile}"] = _text(_together(found))
        values[f"durations.{profile}.experiments"] = f"{len(found)} of {len(runs)}"
    return values


def from_empty_cache(
    found: Mapping[str, Sequence[Record]], profile: str, profiles: Sequence[str]
) -> tuple[float, bool]:
    """Return how long an experiment takes in a profile where no model is in the cache yet, as far as records know.

    A record's own time leaves out the training of a model that was in the cache. Where the record says how long that
    training took, it is added. Where it does not, and the cell was done at once, the time of the same cell with
    another seed stands for it, or else its time in a smaller profile.

    Args:
        found: profile → the experiment's records.
        profile: one of them.
        profiles: from the smallest.

    Returns:
        The seconds, and whether a cell's own time was not enough.
    """
    smaller = {
        record.cell: _seconds(record) for each in profiles[: profiles.index(profile)] for record in found.get(each, ())
    }
    total, filled = 0.0, False
    for record in found[profile]:
        own = _seconds(record)
        like_it = [_seconds(other) for other in found[profile] if _but_for_seed(other) == _but_for_seed(record)]
        usual = max(median(like_it), smaller.get(record.cell, 0.0))
        training = _training_seconds(record)
        if own < training:
            usual = own + training
        elif own >= AT_ONCE * usual:
            usual = own
        total += usual
        filled |= usual > own
    return total, filled


def _seconds(record: Record) -> float:
    return float(record.provenance["seconds"])


def _training_seconds(record: Record) -> float:
    """Return how long a record's model was trained, 0 if it does not say."""
    curves = record.values.get("training")
    seconds = curves.get("seconds", 0.0) if isinstance(curves, Mapping) else 0.0
    return float(sum(seconds)) if isinstance(seconds, Sequence) else float(seconds)


def _but_for_seed(record: Record) -> dict[str, object]:
    return {name: value for name, value in record.config.items() if name != "seed"}


def _table(runs: Runs, times: Mapping[str, Times]) -> str:
    rows = [[f"`{name}`", *(_cell(found.get(name)) for found in times.values())] for name in runs]
    rows.append(["together", *(_text(_together(found)) for found in times.values())])
    return markdown_table(["experiment", *(f"`{profile}`" for profile in times)], rows)


def _cell(time: tuple[float, bool] | None) -> str:
    return _text(time[0]) + "*" * time[1] if time else "–"


def _caption(runs: Runs, profiles: Sequence[str]) -> str:
    devices = {
        profile: sorted({r.provenance["device"] for found in runs.values() for r in found.get(profile, ())})
        for profile in profiles
    }
    measured = "; ".join(f"`{profile}` on {' and '.join(found)}" for profile, found in devices.items() if found)
    where = f": {measured}" if measured else ""
    return (
        f"**How long each experiment takes.** The records' own times, added up{where}. A network is trained in the "
        "first experiment that needs it, and not again. A dash: not computed completely. \\*: a model came from the "
        "cache; the time to train it is added, as its record gives it. Where none does, the time of the same cell with "
        "another seed, or in a smaller profile, stands for that of a cell that was done at once."
    )


def _together(found: Times) -> float:
    return sum(seconds for seconds, _ in found.values())


def _text(seconds: float) -> str:
    """Return a duration as one reads a clock: seconds below two minutes, hours from two hours on."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
