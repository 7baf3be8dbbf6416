"""The claims that adversarial examples exist near every image, for every model, and that noise does not find them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import binomtest

from tutorial_pkg import paper
from tutorial_pkg.claims.base import CONFIDENCE, Claim, Records, Verdict, graded
from tutorial_pkg.experiments.table1_rendering import SMALL, close_share, missed_examples, penalty_excess
from tutorial_pkg.experiments.transfer_cells import rates
from tutorial_pkg.figures import percent
from tutorial_pkg.records import Record

VIRTUALLY_EVERY = 0.95
"""What we read "near virtually every test case" as."""


def values_by_name(records: Sequence[Record]) -> dict[str, list[Mapping]]:
    """Group the values of Table 1's records by model: one entry a seed."""
    groups: dict[str, list[Mapping]] = {}
    for record in records:
        groups.setdefault(record.config["name"], []).append(record.values)
    return groups


def _every_model_can_be_fooled(records: Records) -> Verdict:
    values = [record.values for record in records["table1"]]
    success = [min(v["success_targeted"], v["success_nearest"]) for v in values]
    where = sorted({r.config["name"] for r, rate in zip(records["table1"], success, strict=True) if rate < 1})
    largest = max(v["distortion_nearest_max"] for v in values)
    farthest = max(v["distortion_nearest_mean"] for v in values)
    missed, attacked = missed_examples(records["table1"])
    return Verdict(
        graded(min(success) == 1 and farthest < SMALL, min(success) > 0.99),
        f"{attacked:,} searches in {len(values)} networks, for a random other class and for the nearest; of the images "
        f"found, shown to the network once more, {missed:,} did not get the class searched for"
        f"{' (' + ', '.join(where) + ')' if where else ''}. The lowest success of a network is "
        f"{percent(min(success), 3)}, the largest mean distortion to the nearest class {farthest:.3f}, the largest of "
        f"an image {largest:.3f}",
    )


def _close_for_each_sample(records: Records) -> Verdict:
    rms = np.concatenate([record.arrays["nearest_rms"] for record in records["table1"]])
    fraction = close_share(records["table1"])
    success = min(record.values["success_nearest"] for record in records["table1"])
    return Verdict(
        graded(success == 1 and fraction == 1, success > 0.99 and fraction > 0.5),
        f"success {percent(success)} at worst; {100 * fraction:.1f} % of the training images attacked have an "
        f"adversarial example within a distortion of {SMALL:g}; median {np.median(rms):.3f}, 99th percentile "
        f"{np.quantile(rms, 0.99):.3f}, largest {rms.max():.3f}; the paper's own softmax3 has "
        f"{paper.TABLE1['softmax3'][2]:g} on average, to classes that it does not name",
    )


def _penalty_close_to_minimum(records: Records) -> Verdict:
    table1 = records["table1"]
    excess = {name: float(np.mean(penalty_excess(table1, name))) for name in values_by_name(table1)}
    worst = max(excess, key=lambda name: excess[name])
    return Verdict(
        graded(excess[worst] < 2, excess[worst] < 25),
        f"the penalised minimiser is {min(excess.values()):.1f} % to {excess[worst]:.1f} % "
        f"farther away than the minimum (most for {worst})",
    )


def _linear_with_heavy_decay(records: Records) -> Verdict:
    group = values_by_name(records["table1"])["softmax3"]
    success = min(v["success_targeted"] for v in group)
    mean = float(np.mean([v["distortion_random_target_rms"] for v in group]))
    published = paper.TABLE1["softmax3"][2]
    return Verdict(
        graded(success == 1 and mean <= published, success > 0.9),
        f"success {percent(success, 1)} on softmax with λ = 1, distortion {mean:.3f} (r.m.s., random target; paper "
        f"{published:g})",
    )


def _table1_reproduced(records: Records) -> Verdict:
    if records["table1"][0].profile == "quick":
        return Verdict("not run", "needs MNIST: the paper's numbers do not apply to the bundled digits")
    gaps = []
    for name, group in values_by_name(records["table1"]).items():
        train, test, distortion = paper.TABLE1[name]
        mean_train = 100 * float(np.mean([v["train_error"] for v in group]))
        mean_test = 100 * float(np.mean([v["test_error"] for v in group]))
        penalty = float(np.mean([v["distortion_penalty_rms"] for v in group]))
        gaps.append((abs(mean_train - train), abs(mean_test - test), 100 * abs(penalty / distortion - 1)))
    close = [train <= 0.5 and test <= 0.3 and distortion <= 10 for train, test, distortion in gaps]
    return Verdict(
        graded(all(close), sum(close) >= len(gaps) / 2),
        f"{sum(close)} of {len(gaps)} models within 0.5 points of the training error, 0.3 of the test error and 10 % "
        f"of the distortion (r.m.s., by the penalty, random target); largest gap {max(g[0] for g in gaps):.2f} points, "
        f"{max(g[1] for g in gaps):.2f} points and {max(g[2] for g in gaps):.0f} %",
    )


def _noise_is_survived(records: Records) -> Verdict:
    noise, clipped = (
        {r.config["name"]: r.values[key] for r in records["figure7"]}
        for key in ("accuracy_noise", "accuracy_noise_clipped")
    )
    adversarial = max(r.values["accuracy_adversarial"] for r in records["figure7"])
    whole = adversarial == 0 and all(0.4 <= accuracy <= 0.6 for accuracy in noise.values())
    listed, listed_clipped = (
        ", ".join(f"{name} {100 * accuracy:.0f} %" for name, accuracy in found.items()) for found in (noise, clipped)
    )
    return Verdict(
        graded(whole, adversarial == 0 and max(noise.values()) > 0.3),
        f"right under noise of stddev 1: {listed} (paper {paper.FIGURE7_NOISE_ACCURACY:g} %); clipped to the range "
        f"of an image: {listed_clipped}; right on adversarial examples: {100 * adversarial:.0f} %",
        f"{listed}; where the noise is clipped to the range of an image, {listed_clipped}",
    )


def _smooth_classifiers_are_immune(records: Records) -> Verdict:
    values = [record.values for record in records["kernel_machine"]]
    fooled = [v for v in values if v["success"] > 0.5 and v["distortion_mean"] < 0.1]
    listed = ", ".join(
        f"γ = {r.config['gamma']:g}: {100 * r.values['success']:.0f} % at a mean of {r.values['distortion_mean']:.3f}"
        for r in records["kernel_machine"]
    )
    return Verdict(
        graded(not fooled, len(fooled) < len(values)),
        f"success of the attack to the nearest class, {listed}; under noise of that distortion "
        f"{100 * max(v['error_under_noise'] for v in values):.1f} % go wrong at most",
    )


def _pockets(records: Records) -> Verdict:
    limits: dict[str, float] = {}
    for model in records["table2"][0].values["num_correct"]:
        for rate in rates(records["table2"], f"{model} noise", model, "correct"):
            found = binomtest(rate.count, rate.total, alternative="less").proportion_ci(CONFIDENCE, method="exact")
            limits[model] = max(limits.get(model, 0.0), float(found.high))
    worst, best = max(limits, key=limits.__getitem__), min(limits, key=limits.__getitem__)
    return Verdict(
        graded(limits[worst] < 0.02, limits[worst] < 0.1),
        f"noise of the same norm as the adversarial change, one draw an image, fools a model on at most "
        f"{100 * limits[worst]:.2f} % of the images ({worst}; the fewest, {100 * limits[best]:.3f} %, are {best}'s; 95 "
        "% upper limits of the worst seed), where the change itself always does",
    )


def _improbable_and_dense(records: Records) -> Verdict:
    noise, near = _pockets(records), close_share(records["table1"])
    return Verdict(
        graded(False, near >= VIRTUALLY_EVERY and noise.status == "holds"),
        f"{100 * near:.1f} % of the training images attacked have one within a distortion of {SMALL:g}; "
        f"{noise.numbers}",
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "B1",
        "4",
        "Small perturbations found by optimisation change the class of a correctly classified image.",
        "holds when the attack succeeds on every correctly classified image, to a random other class and to the "
        f"nearest, for every network, and the mean distortion to the nearest is below {SMALL:g} for every network; in "
        "part when it succeeds on more than 99 % for every network",
        ("table1",),
        "sections/minimum_distortion.py",
        _every_model_can_be_fooled,
    ),
    Claim(
        "B2",
        "4.2",
        "For every network and each sample there is an adversarial example that is very close and hard to see.",
        "holds when every image of every model has one within a distortion of 0.1, the stddev of the noise that the "
        "paper compares with (larger, it says, than that of its examples for all models but one); in part when most "
        "have. Whether it can be seen is not judged",
        ("table1",),
        "sections/minimum_distortion.py",
        _close_for_each_sample,
    ),
    Claim(
        "B3",
        "4",
        "Adversarial examples lie in low-probability pockets, hard to find by sampling around the input.",
        "holds when noise of the same norm fools every model on fewer than 2 % of the images it had right (95 % upper "
        "limit); in part below 10 %",
        ("table2",),
        "sections/pockets.py",
        _pockets,
    ),
    Claim(
        "B4",
        "4",
        "A smooth classifier, such as a kernel machine, cannot have adversarial examples.",
        "holds when most images of none of three Gaussian kernel machines have one at a mean distortion below 0.1; in "
        "part when one of the machines resists. The paper says that smoothness underlies many kernel methods; that "
        "such a machine is what it means is our reading, as a classifier that is smooth by definition cannot be tested",
        ("kernel_machine",),
        "sections/pockets.py",
        _smooth_classifiers_are_immune,
    ),
    Claim(
        "B5",
        "4.1",
        "The line search over c with box-constrained L-BFGS approximates D(x, l).",
        "holds when the penalised minimiser is on average within 2 % of the best minimum known, for every model; in "
        "part within 25 %",
        ("table1",),
        "sections/exactness.py",
        _penalty_close_to_minimum,
    ),
    Claim(
        "B6",
        "4.2",
        "Even a linear model with λ = 1 can be attacked.",
        "holds when every correctly classified image can be moved to a random other class, at a distortion of at most "
        "the paper's",
        ("table1",),
        "sections/framework.py",
        _linear_with_heavy_decay,
    ),
    Claim(
        "B7",
        "4.2",
        "The errors and average distortions of Table 1's six models.",
        "holds when each model is within 0.5 points of the paper's training error, 0.3 of its test error and 10 % of "
        "its distortion; in part when half of them are",
        ("table1",),
        "sections/framework.py",
        _table1_reproduced,
    ),
    Claim(
        "B8",
        "4.2",
        "Noise of stddev 1 makes digits unreadable and half are still classified right; adversarial ones never are.",
        "holds when both of Figure 7's models are right on 40 to 60 % of noisy digits and on no adversarial one; in "
        "part when one is above 30 %. The paper does not say whether its noise was clipped; judged is noise that was "
        "not, because clipped noise no longer has a stddev of 1. Whether digits are readable is not judged",
        ("figure7",),
        "sections/minimum_distortion.py",
        _noise_is_survived,
    ),
    Claim(
        "D1",
        "5",
        "Adversarial negatives are extremely improbable and yet dense: near virtually every test case.",
        f"in part when at least {100 * VIRTUALLY_EVERY:.0f} % of the images, of training images here, have one within "
        f"a distortion of {SMALL:g} and noise of the same norm does not find it (B3). In part at most, because the "
        "noise says how rare examples are around an image, and not how rare they are among natural images, which is "
        "what the paper speaks of",
        ("table1", "table2"),
        "sections/pockets.py",
        _improbable_and_dense,
    ),
)
