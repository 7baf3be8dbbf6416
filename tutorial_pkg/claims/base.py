"""What a claim is: a statement, and the predicate over records that decides it. No verdict is typed by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import torch

from tutorial_pkg.models import build_model
from tutorial_pkg.records import Record

Records = Mapping[str, Sequence[Record]]
"""Experiment → its records, of the largest complete profile."""

CONFIDENCE = 0.95
"""Of an interval, or of all tests of a claim together."""

Status = Literal["holds", "holds in part", "does not hold", "not run", "open"]


@dataclass(frozen=True)
class Verdict:
    """What the records say of a claim.

    Attributes:
        status: in a word; "open" is for what nothing measured here can decide, and for questions. It is not counted.
        numbers: the numbers it rests on, in a sentence.
        here: for the home page, what was looked at where that is less than the claim speaks of.
    """

    status: Status
    numbers: str
    here: str = ""


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    Attributes:
        id: as in the ledger.
        section: of the paper.
        statement: the claim, in our words.
        decided_by: what makes it hold, in part or not at all here; the predicate in words.
        experiments: whose records `judge` reads; where one has none, the claim is "not run".
        page: where the evidence is, a source file below docs/.
        judge: the predicate.
    """

    id: str
    section: str
    statement: str
    decided_by: str
    experiments: tuple[str, ...] = ()
    page: str = ""
    judge: Callable[[Records], Verdict] | None = None


def judge(claim: Claim, records: Records) -> Verdict:
    """Decide a claim, or say that what would decide it has not been run."""
    missing = [name for name in claim.experiments if not records.get(name)]
    if claim.judge is None or missing:
        return Verdict("not run", f"needs {', '.join(missing)}" if missing else "its experiment is not written yet")
    return claim.judge(records)


def graded(whole: bool, part: bool) -> Status:
    """Turn two conditions, the second weaker, into a verdict."""
    return "holds" if whole else "holds in part" if part else "does not hold"


def count_seeds(records: Sequence[Record]) -> str:
    """Say over how many seeds the records are."""
    number = len({record.config["seed"] for record in records})
    return f"{number} seeds" if number > 1 else "one seed"


@cache
def num_weights(name: str) -> int:
    """Count the weights of a model at its original size, without memory for them."""
    with torch.device("meta"):
        return sum(p.numel() for p in build_model(name).parameters())
