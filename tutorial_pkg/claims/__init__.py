"""The claims ledger: what the paper says, what would make it true here, and what the records say of it."""

from tutorial_pkg.claims import blind_spots, natural_images, not_run, spectral, transfer, units
from tutorial_pkg.claims.base import Claim, Records, Status, Verdict, judge
from tutorial_pkg.claims.rendering import write_ledger

CLAIMS: tuple[Claim, ...] = tuple(
    sorted(
        (
            claim
            for module in (units, blind_spots, transfer, spectral, natural_images, not_run)
            for claim in module.CLAIMS
        ),
        key=lambda claim: ("UBTASQDO".index(claim.id[0]), int(claim.id[1:])),
    )
)
"""Every claim, in the paper's order."""

__all__ = ["CLAIMS", "Claim", "Records", "Status", "Verdict", "judge", "write_ledger"]
