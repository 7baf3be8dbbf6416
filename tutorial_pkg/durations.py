"""How long each experiment took in each profile, for those who want to run one: a table from the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tutorial_pkg.figures import caption_block, markdown_table, write_if_changed
from tutorial_pkg.records import Record

Runs = Mapping[str, Mapping[str, Sequence[Record]]]
"""The records of every experiment that are complete, by experiment and profile."""


def write_durations(root: Path, runs: Runs, profiles: Sequence[str]) -> dict[str, str]:
    """Write `durations/experiments.md` below `docs/_generated`.

    Args:
        root: the folder of generated fragments.
        runs: what was computed.
        profiles: in the order of the columns.

    Returns:
        For prose, the time of all experiments that are complete in a profile as `durations.<profile>`, and how many
        of all are complete as `durations.<profile>.experiments`.
    """
    seconds = {
        profile: {name: _seconds(found[profile]) for name, found in runs.items() if profile in found}
        for profile in profiles
    }
    write_if_changed(
        root / "durations" / "experiments.md",
        f"{_table(runs, seconds)}\n\n{caption_block(_caption(runs, profiles))}\n",
    )
    values = {}
    for profile, found in seconds.items():
        values[f"durations.{profile}"] = _text(sum(found.values()))
        values[f"durations.{profile}.experiments"] = f"{len(found)} of {len(runs)}"
    return values


def _table(runs: Runs, seconds: Mapping[str, Mapping[str, float]]) -> str:
    rows = [
        [f"`{name}`", *(_text(found[name]) if name in found else "–" for found in seconds.values())] for name in runs
    ]
    rows.append(["together", *(_text(sum(found.values())) for found in seconds.values())])
    return markdown_table(["experiment", *(f"`{profile}`" for profile in seconds)], rows)


def _caption(runs: Runs, profiles: Sequence[str]) -> str:
    devices = {
        profile: sorted({r.provenance["device"] for found in runs.values() for r in found.get(profile, ())})
        for profile in profiles
    }
    measured = "; ".join(f"`{profile}` on {' and '.join(found)}" for profile, found in devices.items() if found)
    where = f": {measured}" if measured else ""
    return (
        f"**How long each experiment takes.** The records' own times, added up{where}. A network is trained in the "
        "first experiment that needs it, and not again. A dash: not computed completely."
    )


def _seconds(records: Sequence[Record]) -> float:
    return sum(float(record.provenance["seconds"]) for record in records)


def _text(seconds: float) -> str:
    """Return a duration as one reads a clock: seconds below two minutes, hours from two hours on."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
