"""What a claim is: a statement, and the predicate over records that decides it. No verdict is typed by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tutorial_pkg.records import Record

Records = Mapping[str, Sequence[Record]]
"""Experiment → its records, of the largest complete profile."""

Status = Literal["holds", "holds in part", "does not hold", "not run"]


@dataclass(frozen=True)
class Verdict:
    """What the records say of a claim.

    Attributes:
        status: in a word.
        numbers: the numbers it rests on, in a sentence.
    """

    status: Status
    numbers: str


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
