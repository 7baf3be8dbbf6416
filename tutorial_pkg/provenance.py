"""Where numbers come from: the line under every figure and table, and what it opens."""

from __future__ import annotations

from collections.abc import Sequence

from tutorial_pkg.records import Record


def provenance_span(line: str, details: str, *, name: str) -> str:
    """Return where numbers come from in the site's style: a short line, and a button that shows the rest.

    Args:
        line: see `provenance`.
        details: likewise.
        name: of the figure or table, which no other on a page has.
    """
    target = f"provenance-{name}"
    return (
        f'<span class="provenance">{line} · <button type="button" popovertarget="{target}">details</button>'
        f'<span popover="auto" id="{target}">{details}</span></span>'
    )


def provenance(
    records: Sequence[Record], *, stale: bool = False, confirmed_in: str = "", uses_data: bool = True
) -> tuple[str, str]:
    """Say where numbers come from.

    Args:
        stale: whether the code has changed since.
        confirmed_in: the profile in which the changed code gave the same numbers, if it did.
        uses_data: whether the records' data set was used.

    Returns:
        A short line, of profile, data, time, device, seeds and state, and what identifies the run: checksum, code,
        threads, versions.
    """
    first = records[0]
    devices = sorted({record.provenance["device"] for record in records})
    seeds = sorted({record.config["seed"] for record in records if "seed" in record.config})
    versions = {f"{name} {v}": None for r in records for name, v in r.provenance["versions"].items()}
    # Headings' names, not a path: MkDocs finds its page from wherever the fragment is included.
    confirmed = "[confirmed][confirmed-records]" if confirmed_in else "fresh"
    state = "[stale][what-is-kept-of-a-run]: the code has changed since" if stale else confirmed
    shown = ["no data", "no data"]
    if uses_data:
        shown = [_data_name(first), f"{first.data['name']} (checksum {first.data['checksum'][:8]})"]
    line = [
        f"profile <b>{first.profile}</b>",
        shown[0],
        _duration(sum(float(record.provenance["seconds"]) for record in records)),
        ", ".join(dict.fromkeys(device.partition(", ")[0] for device in devices)),
        _seeds(seeds),
        state,
    ]
    details = [
        shown[1],
        ", ".join(devices),
        f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}" if seeds else "",
        f"code {', '.join(dict.fromkeys(record.fingerprint[:8] for record in records))}",
        ", ".join(versions),
        "a quick run: the paper's numbers do not apply" if first.profile == "quick" and uses_data else "",
        f"the code has changed since, and its {confirmed_in} run gives the same numbers"
        if confirmed_in and not stale
        else "",
    ]
    return _joined(line), _joined(details)


def _joined(parts: Sequence[str]) -> str:
    return " · ".join(part for part in parts if part)


def _data_name(record: Record) -> str:
    if record.profile != "quick":
        return record.data["name"]
    return "bundled " + ("8×8 digits, not MNIST" if record.data["name"] == "digits" else "photographs, not ImageNet")


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) < 2:
        return f"seed {seeds[0]}" if seeds else ""
    in_a_row = len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return "seeds " + (f"{seeds[0]}–{seeds[-1]}" if in_a_row else ", ".join(map(str, seeds)))
