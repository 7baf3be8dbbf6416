"""What the fragments about performance share: a caption that says where and on what a benchmark was run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tutorial_pkg.figures import caption_block
from tutorial_pkg.provenance import provenance_span

Benchmark = Mapping[str, Any]


_NAMES = {"fc100-100-10": "N100-100-10", "conv": "Conv", "mnist": "MNIST"}
"""What the other pages call the models and the data."""


def measured_on(benchmark: Benchmark) -> str:
    """Return the model and the data of a benchmark in the site's words."""
    model, *rest = benchmark["model"].split(", ")
    name = ", ".join([_NAMES.get(model, model), *rest])
    return f"{name} on {_NAMES.get(benchmark['data'], benchmark['data'])}"


def captioned(table: str, caption: str) -> str:
    """Return a Markdown table with its caption below."""
    return f"{table}\n\n{caption_block(caption)}\n"


def provenance_of(name: str, benchmark: Benchmark, what: str, *, clock: bool = True) -> str:
    """Return what a benchmark was run on, and with which versions.

    Args:
        name: of the fragment.
        benchmark: the record.
        what: was measured, and on what data.
        clock: whether to say what the seconds are.
    """
    machine, threads = benchmark["machine"], benchmark["threads"]
    where = machine.get("accelerator") or f"{machine['processor']}, {threads} thread{'s' * (threads > 1)}"
    seconds = {"processor": "seconds of processor time", "elapsed": "elapsed seconds"}[benchmark["seconds"]]
    line = " · ".join([what, where, *([seconds] if clock else [])])
    versions = ", ".join(f"{package} {version}" for package, version in benchmark["versions"].items() if version)
    return provenance_span(line, versions, name=f"performance-{name}")
