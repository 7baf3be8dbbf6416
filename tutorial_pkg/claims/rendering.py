"""The ledger as Markdown: in full for its own page, at a glance for the home page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tutorial_pkg.claims.base import Claim, Records, Status, Verdict, judge
from tutorial_pkg.figures import markdown_table, write_if_changed

MARKS: dict[Status, str] = {
    "holds": "✔ holds",
    "holds in part": "◐ holds in part",
    "does not hold": "✘ does not hold",
    "not run": "○ not run",
    "open": "? open",
}
SECTIONS = {
    "U": "What units mean (§3)",
    "B": "Blind spots (§4)",
    "T": "Transfer (§4.2)",
    "A": "Adversarial training (§4.2)",
    "S": "Spectral analysis (§4.3)",
    "Q": "Natural images (§4.2)",
    "D": "Discussion (§5)",
    "O": "Open questions (reviews)",
}
IN_SHORT = {  # what the contents beside the ledger call a claim
    "U1": "random directions",
    "U2": "a unit's top images",
    "U3": "the same on AlexNet",
    "U4": "disentangled factors",
    "B1": "small perturbations",
    "B2": "near every sample",
    "B3": "rare pockets",
    "B4": "smooth classifiers",
    "B5": "the search over c",
    "B6": "linear models",
    "B7": "Table 1's numbers",
    "B8": "noise of stddev 1",
    "T1": "other hyper-parameters",
    "T2": "noise of stddev 0.1",
    "T3": "the autoencoder",
    "T4": "another training set",
    "T5": "how much is lost",
    "T6": "amplified examples",
    "T7": "somewhat universal",
    "A1": "pools: below 1.2 %",
    "A2": "weight decay, dropout",
    "A3": "higher layers",
    "A4": "input deformations",
    "A5": "each layer's output",
    "S1": "norm of a convolution",
    "S2": "Table 5's bounds",
    "S3": "instability in layer 1",
    "S4": "contractive layers",
    "S5": "architecture or weights",
    "Q1": "every image, AlexNet",
    "Q2": "cars, QuocNet",
    "D1": "improbable and dense",
    "O1": "open questions",
}
PAGES = {
    "sections/introduction.py": "Introduction",
    "sections/framework.py": "Framework",
    "sections/units.py": "Units",
    "sections/minimum_distortion.py": "Minimum distortion",
    "sections/exactness.py": "Is the method exact?",
    "sections/pockets.py": "Are they pockets?",
    "sections/transfer.py": "Transfer",
    "sections/adversarial_training.py": "Adversarial training",
    "sections/spectral.py": "Spectral analysis",
    "sections/alexnet.py": "Natural images: AlexNet",
    "sections/quocnet.py": "Natural images: QuocNet",
}
"""A page's source below docs/ → its title."""


def write_ledger(root: Path, claims: Sequence[Claim], records: Records) -> None:
    """Write `claims/ledger.md` and `claims/at_a_glance.md` below the folder of generated fragments."""
    folder = root / "claims"
    write_if_changed(folder / "ledger.md", ledger(claims, records))
    write_if_changed(folder / "at_a_glance.md", at_a_glance(claims, records))


def ledger(claims: Sequence[Claim], records: Records) -> str:
    """Return every claim with its verdict, numbers, predicate and place, in sections."""
    parts = []
    for letter, title in SECTIONS.items():
        chosen = [claim for claim in claims if claim.id[0] == letter]
        if not chosen:
            continue
        parts.append(f"## {title}\n")
        parts.extend(_entry(claim, records) for claim in chosen)
    return "\n".join(parts)


def at_a_glance(claims: Sequence[Claim], records: Records) -> str:
    """Return the count of verdicts and a line for each claim; what is open has a line and is not counted."""
    verdicts = [(claim, judge(claim, records)) for claim in claims]
    counts = Counter(verdict.status for _, verdict in verdicts)
    num_open = counts.pop("open", 0)
    summary = " · ".join(f"**{counts[status]}** {MARKS[status]}" for status in MARKS if counts[status])
    undecided = "them" if num_open > 1 else "it"
    summary += f". Not counted: **{num_open}** {MARKS['open']} (nothing here can decide {undecided})" * bool(num_open)
    rows = []
    for claim, verdict in verdicts:
        mark = MARKS[verdict.status] + " on digits" * ("quick" in _profiles(claim, records))
        rows.append(
            [
                f"[{claim.id}](claims.md#{claim.id.lower()})",
                claim.statement + f"<br><small>Here: {verdict.here}.</small>" * bool(verdict.here),
                f'<span class="mark {_css_class(verdict)}">{mark[0]}<span>{mark[1:]}</span></span>',
            ]
        )
    table = markdown_table(["", "the paper says", "here"], rows, num_text_columns=3) if rows else ""
    return f"Of {len(claims) - num_open} claims: {summary}.\n\n{table}\n"


def _entry(claim: Claim, records: Records) -> str:
    verdict = judge(claim, records)
    in_short = f"{claim.id}. {IN_SHORT.get(claim.id, claim.statement)}"
    return "\n".join(
        [
            f'### {claim.id}. {claim.statement} {{ #{claim.id.lower()} .claim data-toc-label="{in_short}" }}',
            "",
            f'<p class="verdict {_css_class(verdict)}" markdown="span">'
            f"**{MARKS[verdict.status]}**: {verdict.numbers}.</p>",
            "",
            f"*Decided by:* {claim.decided_by}.",
            "",
            f"<small>{_places(claim, records)}</small>",
            "",
        ]
    )


def _places(claim: Claim, records: Records) -> str:
    """Return, in a line, where the claim is in the paper, and where its evidence and its records are here."""
    places = [f"In the paper: §{claim.section}" if claim.section[0].isdigit() else "From the reviews of the paper"]
    if claim.page:
        places.append(f"evidence: [{PAGES[claim.page]}]({claim.page})")
    if profiles := _profiles(claim, records):
        places.append(f"records: {', '.join(claim.experiments)} ({', '.join(profiles)})")
    return " · ".join(places)


def _css_class(verdict: Verdict) -> str:
    return verdict.status.replace(" ", "-")


def _profiles(claim: Claim, records: Records) -> list[str]:
    return sorted({record.profile for name in claim.experiments for record in records.get(name, ())})
