"""What the reviews of the paper asked and the paper leaves open, as far as the records answer it."""

from __future__ import annotations

import numpy as np

from tutorial_pkg.claims.base import Claim, Records, Verdict, graded

PAGE = "sections/transfer.py"


def _reviewers_questions(records: Records) -> Verdict:
    """Two of the reviews' questions have a number here: why examples carry over, and dependence on the training set."""
    rho = float(np.mean([r.values["rank_correlation"]["reach"]["rho"] for r in records["transfer_curve"]]))
    training = float(np.mean([r.values["ways"]["input"]["distortion_mean"] for r in records["adversarial_robustness"]]))
    before = float(
        np.mean([r.values["ways"]["weight decay"]["distortion_mean"] for r in records["adversarial_robustness"]])
    )
    return Verdict(
        graded(False, rho > 0.5 and training > before),
        f"why they carry over: the rank correlation of transfer with the reach is {rho:.2f}; what removes them: "
        f"training on them moves the nearest from a distortion of {before:.3f} to {training:.3f} and leaves one near "
        "every image; single-pixel changes and their frequency among natural images are not measured here",
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "O1",
        "reviews",
        "Open: why examples carry over, what they depend on, how often they occur and what would remove them.",
        "never decided as a whole; in part when the reach explains transfer (rank correlation above 0.5) and training "
        "on the examples moves them away",
        ("transfer_curve", "adversarial_robustness"),
        PAGE,
        _reviewers_questions,
    ),
)
