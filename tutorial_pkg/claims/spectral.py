"""The claims of section 4.3."""

from __future__ import annotations

from tutorial_pkg import paper
from tutorial_pkg.claims.base import Claim, Records, Verdict, graded
from tutorial_pkg.experiments.unstable_directions import pair_values
from tutorial_pkg.figures import mean_sd

PAGE = "sections/spectral.py"
ALMOST_THE_SAME = 0.9
"""The cosine from which two directions count as one."""


def _printed_formula(records: Records) -> Verdict:
    norms = records["spectral_checks"][0].values["norms"]
    unit = max(abs(norm["printed"] - 1) for norm in norms if norm["stride"] == 1)
    strided = [norm["printed"] for norm in norms if norm["stride"] > 1]
    ours = max(abs(norm["ours"] - 1) for norm in norms)
    return Verdict(
        graded(unit < 1e-6 and max(abs(s - 1) for s in strided) < 1e-6, unit < 1e-6),
        f"at stride 1 the printed formula is off by {unit:.0e} of the matrix's norm, at larger strides it gives "
        f"{min(strided):.2f} to {max(strided):.2f} times that norm; the corrected one is off by {ours:.0e} at most",
    )


def _table5(records: Records) -> Verdict:
    trained = [record for record in records["table5"] if not record.cell.startswith("random")]
    if not trained:
        ratio = [records["table5"][0].values[layer]["upper"] / upper for layer, (_, upper) in paper.TABLE5.items()]
        return Verdict(
            "not run",
            f"needs trained weights: with random ones of the same shapes the upper bounds are {min(ratio):.2f} to "
            f"{max(ratio):.2f} times the paper's",
        )
    close = [abs(trained[0].values[layer]["upper"] / upper - 1) < 0.25 for layer, (_, upper) in paper.TABLE5.items()]
    return Verdict(graded(all(close), sum(close) >= 4), f"{sum(close)} of {len(close)} upper bounds within 25 %")


def _first_layer(records: Records) -> Verdict:
    first: dict[str, list[dict[str, float]]] = {}
    for record in records["layer_gains"]:
        if len(record.values["layers"]) > 1:
            first.setdefault(record.config["name"], []).append(record.values["layers"][0])
    shown = [all(seed["mean"] > max(1, seed["noise_mean"]) for seed in seeds) for seeds in first.values()]
    allowed = any(seed["bound"] > 1 for seeds in first.values() for seed in seeds)

    def over(seeds: list[dict[str, float]], key: str, digits: int) -> str:
        return mean_sd([seed[key] for seed in seeds], digits)

    listed = "; ".join(
        f"{name}, {len(seeds)} seed{'s' * (len(seeds) > 1)}: bound {over(seeds, 'bound', 1)}, gain "
        f"{over(seeds, 'mean', 2)} on adversarial changes, {over(seeds, 'noise_mean', 2)} on noise"
        for name, seeds in first.items()
    )
    return Verdict(graded(any(shown), allowed), listed)


def _contractive(records: Records) -> Verdict:
    gains = records["spectral_checks"][0].values["gains"]
    within = {name: gain <= 1 + 1e-6 for name, gain in gains.items()}
    listed = ", ".join(f"{name} {gain:.3f}" for name, gain in gains.items())
    return Verdict(graded(all(within.values()), any(within.values())), f"largest gain found: {listed}")


def _architecture(records: Records) -> Verdict:
    found = records["unstable_directions"]
    kinds = ("FC", "Conv")

    def mean(source: str, target: str, measure: str = "cosine") -> float:
        return float(pair_values(found, source, target, measure).mean())

    within = {kind: mean(kind, kind) for kind in kinds}
    between = max(mean("FC", "Conv"), mean("Conv", "FC"))
    return Verdict(
        graded(min(within.values()) >= ALMOST_THE_SAME, min(within.values()) > between),
        f"mean cosine between seeds {within['FC']:.2f} (fully connected) and {within['Conv']:.2f} (convolutional), "
        f"between the two architectures {between:.2f}; the gain along another seed's perturbation is "
        f"{100 * mean('FC', 'FC', 'share_of_own_gain'):.0f} % and "
        f"{100 * mean('Conv', 'Conv', 'share_of_own_gain'):.0f} % "
        "of that along the network's own",
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "S1",
        "4.3",
        "The norm of a strided convolution is the supremum of ‖A(ω)‖, with A as printed.",
        "holds when the printed formula gives the dense matrix's norm at every stride; in part at stride 1 only",
        ("spectral_checks",),
        PAGE,
        _printed_formula,
    ),
    Claim(
        "S2",
        "4.3",
        "Table 5's frame bounds.",
        "holds when a trained AlexNet's upper bounds are within 25 % of the paper's; in part when half of them are",
        ("table5",),
        PAGE,
        _table5,
    ),
    Claim(
        "S3",
        "4.3",
        "Instability can appear as soon as in the first layer.",
        "holds when in some network of several layers, with every seed, the first layer enlarges adversarial changes, "
        "on average, and more than noise of the same norm; in part when only its bound allows an enlargement",
        ("layer_gains",),
        PAGE,
        _first_layer,
    ),
    Claim(
        "S4",
        "4.3",
        "Max pooling and rectification are contractive.",
        "holds when gradient ascent finds no pair of inputs that such a layer drives apart; in part when some of the "
        "layers are contractive",
        ("spectral_checks",),
        PAGE,
        _contractive,
    ),
    Claim(
        "S5",
        "4.3",
        "Which perturbations are unstable depends on the architecture and not on the parameters' values.",
        "perturbations of the same images on networks that differ in their seed only: holds when in both architectures "
        "their mean cosine is at least 0.9; in part when it exceeds that between architectures",
        ("unstable_directions",),
        PAGE,
        _architecture,
    ),
)
