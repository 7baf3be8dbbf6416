"""The claim about QuocNet: cars that are recognised, and then no longer."""

from __future__ import annotations

from tutorial_pkg import paper
from tutorial_pkg.claims.base import Claim, Records, Verdict, count_seeds, graded, num_weights
from tutorial_pkg.figures import percent

ENOUGH = 100
"""Recognised cars."""


def _cars(records: Records) -> Verdict:
    record = records["figure6"][0]
    values = record.values
    count, success, distortion = values["num_attacked"], values["success"], values["distortion"]
    network = (
        f"a QuocNet with {num_weights(record.config['recipe']['model']) / 1e6:.1f} million weights instead of "
        f"{num_weights('quocnet-full') / 1e9:.1f} billion, {count_seeds(records['figure6'])}"
    )
    return Verdict(
        graded(
            success == 1 and count >= ENOUGH and distortion["mean"] <= paper.FIGURE5_DISTORTION,
            success == 1,
        ),
        f"{network}: {values['num_recognised']} of {values['num_cars']} validation cars are recognised; of "
        f"{count} attacked, {percent(success, 1)} become unrecognised, at a mean distortion of "
        f"{distortion['mean']:.4f} and at most {distortion['max']:.4f}; noise of the same length hides "
        f"{percent(values['missed_under_noise'], 1)}; rounded to 256 grey levels, "
        f"{percent(values['success_in_8_bits']['1'], 1)} stay unrecognised, made twice as long "
        f"{percent(values['success_in_8_bits']['2'], 1)}",
        network,
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "Q2",
        "4.2",
        "On QuocNet, cars that are recognised become unrecognised by a change too small to see.",
        f"holds when at least {ENOUGH} recognised cars were attacked, each with success, and the mean distortion is at "
        f"most {paper.FIGURE5_DISTORTION:.4f}, the paper's on AlexNet, as it gives none for QuocNet; in part when all "
        "of those attacked become unrecognised",
        ("figure6",),
        "sections/quocnet.py",
        _cars,
    ),
)
