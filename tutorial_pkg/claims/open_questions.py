"""What the reviews of the paper asked and the paper leaves open, as far as the records answer it."""

from __future__ import annotations

import numpy as np

from tutorial_pkg.claims.base import Claim, Records, Verdict

PAGE = "sections/transfer.py"


def _reviewers_questions(records: Records) -> Verdict:
    """Two of the reviews' questions have a number here: why examples carry over, and what removes them."""
    rho = float(np.mean([r.values["rank_correlation"]["reach"]["rho"] for r in records["transfer_curve"]]))

    def mean(way: str, key: str) -> float:
        return float(np.mean([r.values["ways"][way][key] for r in records["adversarial_robustness"]]))

    return Verdict(
        "open",
        f"why they carry over: the rank correlation of transfer with the reach is {rho:.2f}; what removes them: after "
        f"training on them the nearest is at a mean distortion of {mean('input', 'distortion_mean'):.3f} instead of "
        f"{mean('weight decay', 'distortion_mean'):.3f}, and {100 * mean('input', 'success'):.0f} % of the images "
        "still have one; single-pixel changes and their frequency among natural images are not measured here",
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "O1",
        "reviews",
        "Open: why examples carry over, what they depend on, how often they occur and what would remove them.",
        "nothing: these are questions, and the numbers are what the records say of them",
        ("transfer_curve", "adversarial_robustness"),
        PAGE,
        _reviewers_questions,
    ),
)
