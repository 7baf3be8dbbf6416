"""The claims ledger: what the paper says, what would make it true here, and what the records say of it."""

from tutorial_pkg.claims import (
    adversarial_training,
    blind_spots,
    natural_images,
    open_questions,
    quocnet,
    spectral,
    transfer,
    units,
)
from tutorial_pkg.claims.base import Claim, Records, Status, Verdict, judge
from tutorial_pkg.claims.rendering import write_ledger

CLAIMS: tuple[Claim, ...] = tuple(
    sorted(
        (
            claim
            for module in (
                units,
                blind_spots,
                transfer,
                adversarial_training,
                spectral,
                natural_images,
                quocnet,
                open_questions,
            )
            for claim in module.CLAIMS
        ),
        key=lambda claim: ("UBTASQDO".index(claim.id[0]), int(claim.id[1:])),
    )
)
"""Every claim, in the paper's order."""

__all__ = ["CLAIMS", "Claim", "Records", "Status", "Verdict", "judge", "write_ledger"]
