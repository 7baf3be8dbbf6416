"""The claims about AlexNet: its units, and its adversarial examples."""

from __future__ import annotations

from tutorial_pkg import paper
from tutorial_pkg.claims.base import Claim, Records, Verdict, count_seeds, graded, num_weights
from tutorial_pkg.claims.units import ALIKE, alike, compared, described
from tutorial_pkg.units import OF_DIRECTIONS

PAGE = "sections/alexnet.py"
LAYER = "fc2"
"""The last hidden layer."""


def _network(records: Records) -> str:
    values = records["alexnet"][0].values
    return (
        f"an AlexNet with {values['num_parameters'] / 1e6:.1f} million weights instead of "
        f"{num_weights('alexnet') / 1e6:.1f}, {values['num_classes']} classes, {count_seeds(records['alexnet'])}"
    )


def _units(records: Records) -> Verdict:
    (record,) = [r for r in records["figures3_4"] if r.config["layer"] == LAYER]
    found = record.values["comparisons"]["units-uniform"]
    words = {name: compared(**effect, num_tests=len(found)) for name, effect in found.items()}
    directions = {name: word for name, word in words.items() if name in OF_DIRECTIONS}
    sets = {name: word for name, word in words.items() if name not in OF_DIRECTIONS}
    largest = max(abs(found[name]["delta"]) for name in sets)
    return Verdict(
        alike(sets, directions),
        f"{_network(records)}: of {len(words)} statistics over {record.values['num_images']:,} validation images, "
        f"{described(words)}; largest |δ| of the top images' statistics {largest:.2f}; class purity "
        f"{record.values['means']['units']['purity']:.2f} along units, "
        f"{record.values['means']['uniform']['purity']:.2f} along random directions, "
        f"{record.values['means']['chance']['purity']:.2f} by chance",
        _network(records),
    )


def _examples(records: Records) -> Verdict:
    by_goal = {r.config["goal"]: r.values for r in records["figure5"]}
    success = min(values["success"] for values in by_goal.values())
    far, nearest = by_goal["far"], by_goal["nearest"]
    return Verdict(
        graded(
            success == 1 and far["distortion_mean"] <= paper.FIGURE5_DISTORTION,
            success == 1 and far["l2_norm_mean"] <= paper.FIGURE5_L2_NORM,
        ),
        f"{_network(records)}: success {100 * success:.0f} %; mean distortion to a class chosen beforehand "
        f"{far['distortion_mean']:.4f} ({far['num_attacked']} images; the paper's {paper.FIGURE5_DISTORTION:.4f}), to "
        f"the nearest class {nearest['distortion_mean']:.4f} ({nearest['num_attacked']} images); mean ‖r‖₂ "
        f"{far['l2_norm_mean']:.2f} and {nearest['l2_norm_mean']:.2f} (the paper's, at 224 × 224 pixels, "
        f"{paper.FIGURE5_L2_NORM:.2f})",
        _network(records),
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "U3",
        "3",
        "Units and random directions are alike on AlexNet, too.",
        f"the condition of U1, on photographs: holds when every statistic's interval of Cliff's δ is {ALIKE}",
        ("figures3_4", "alexnet"),
        PAGE,
        _units,
    ),
    Claim(
        "Q1",
        "4.2",
        "On AlexNet every image tried has an adversarial example, at an average distortion of 0.0065.",
        "holds when every image attacked has one, of a class chosen beforehand and of the nearest class, and the mean "
        "distortion to the chosen class is at most the paper's; in part when every image has one and the mean norm "
        "‖r‖₂ is at most that of the paper's distortion at 224 × 224 pixels",
        ("figure5", "alexnet"),
        PAGE,
        _examples,
    ),
)
