"""The claims of section 3: what a unit's favourite images have in common, and what a random direction's have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scipy.stats import norm

from tutorial_pkg.claims.base import Claim, Records, Status, Verdict, graded
from tutorial_pkg.experiments import figures3_4_rendering, units_rendering
from tutorial_pkg.records import Record
from tutorial_pkg.units import NEGLIGIBLE, OF_DIRECTIONS, STATISTICS, pooled, verdict

PAGE = "sections/units.py"
LAYER = "hidden"
"""The last hidden layer, which the paper looks at."""
UNTRAINED = "untrained"
"""The same layer with random weights."""
OF_SETS = tuple(name for name in STATISTICS if name not in OF_DIRECTIONS)
NAMES = {
    statistic: name.partition(",")[0]  # without its unit
    for statistic, name in (units_rendering.NAMES | figures3_4_rendering.NAMES).items()
}
"""What the pages call a statistic."""
LEVEL = 0.05
"""Of all tests of a claim together."""
COMPARED = {
    "negligible": "no difference that matters",
    "undecided": "undecided",
    "first": "more in common along units",
    "second": "more in common along random directions",
}
COUNTED = (
    f"A difference counts where |δ| is at least {NEGLIGIBLE} and its p-value below {LEVEL} divided by the number of "
    "statistics"
)

ALIKE = f"within ±{NEGLIGIBLE}; in part when half of those of the top images are and none favours units. {COUNTED}"
"""The condition of `alike`, in words."""


def compared(*, delta: float, low: float, high: float, p_value: float, num_tests: int) -> str:
    """Say what δ shows, as `units.verdict`; but a difference must be more than negligible and survive many tests."""
    word = verdict(low, high)
    if word in ("negligible", "undecided"):
        return word
    return word if p_value < LEVEL / num_tests and abs(delta) >= NEGLIGIBLE else "undecided"


def described(words: Mapping[str, str]) -> str:
    """List how many statistics got each word, and name those that tell units and random directions apart.

    Example:
        >>> described({"entropy": "negligible", "purity": "negligible", "class_auc": "first"})
        'no difference that matters in 2, more in common along units in 1 (detects a class)'
    """
    groups: dict[str, list[str]] = {}
    for name, word in words.items():
        groups.setdefault(word, []).append(NAMES[name])
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    return ", ".join(
        f"{COMPARED[word]} in {len(names)}" + f" ({', '.join(names)})" * (word in ("first", "second"))
        for word, names in ordered
    )


def _effect(records: Sequence[Record], layer: str, pair: str, statistic: str) -> tuple[float, float, float]:
    """Return Cliff's δ and its interval over all networks, for the smallest sets of top images."""
    effects = []
    for record in records:
        sizes = record.values["layers"][layer]["by_k"]
        found = sizes[min(sizes, key=int)]["comparisons"][pair][statistic]
        effects.append((found["delta"], found["low"], found["high"]))
    return pooled(effects)


def _verdicts(records: Sequence[Record], layer: str, pair: str, statistics: Sequence[str]) -> dict[str, str]:
    words = {}
    for name in statistics:
        delta, low, high = _effect(records, layer, pair, name)
        # The interval's half width is 1.96 standard errors; none at all where every comparison came out alike.
        z = norm.ppf(0.975) * abs(delta) / max((high - low) / 2, 1e-12)
        words[name] = compared(delta=delta, low=low, high=high, p_value=2 * norm.sf(z), num_tests=len(STATISTICS))
    return words


def alike(sets: Mapping[str, str], directions: Mapping[str, str]) -> Status:
    """Decide whether units are like random directions; the words are those of `compared`.

    Args:
        sets: statistic of the top images → what it shows.
        directions: the same for the statistics of the directions over all images.
    """
    words = list(sets.values())
    return graded(
        all(word == "negligible" for word in (*words, *directions.values())),
        words.count("negligible") >= len(words) / 2 and "first" not in words,
    )


def _indistinguishable(records: Records) -> Verdict:
    found = records["units"]
    sets = _verdicts(found, LAYER, "units-uniform", OF_SETS)
    directions = _verdicts(found, LAYER, "units-uniform", OF_DIRECTIONS)
    largest = max(abs(_effect(found, LAYER, "units-uniform", name)[0]) for name in OF_SETS)
    return Verdict(
        alike(sets, directions),
        f"of {len(sets)} statistics of the top images: {described(sets)} (largest |δ| {largest:.2f}); of "
        f"{len(directions)} statistics of the directions over all images: {described(directions)}. Before training: "
        f"{described(_verdicts(found, UNTRAINED, 'units-uniform', OF_SETS))} of the top images' statistics",
    )


def _share_properties(records: Records) -> Verdict:
    found = records["units"]
    words = _verdicts(found, LAYER, "units-chance", OF_SETS)
    deltas = [_effect(found, LAYER, "units-chance", name)[0] for name in OF_SETS]
    more = sum(word == "first" for word in words.values())
    return Verdict(
        graded(more == len(words), more >= len(words) / 2),
        f"units' top images have more in common than random images in {more} of {len(words)} statistics, "
        f"δ {min(deltas):.2f} to {max(deltas):.2f}; before training in "
        f"{sum(word == 'first' for word in _verdicts(found, UNTRAINED, 'units-chance', OF_SETS).values())}",
    )


def _no_disentangling(records: Records) -> Verdict:
    found = records["units"]
    layers = [layer for layer in found[0].values["layers"] if layer in ("pool", LAYER, "logits")]
    shares = {}
    for layer in layers:
        words = _verdicts(found, layer, "units-uniform", tuple(STATISTICS))
        shares[layer] = sum(word == "first" for word in words.values())
    by_hand = []  # a layer with one unit a class: disentangled by construction, and yet …
    for record in found:
        sizes = record.values["layers"]["onehot"]["by_k"]
        by_hand.append(sizes[min(sizes, key=int)]["means"]["uniform"]["purity"])
    return Verdict(
        "open",
        f"statistics in which units have more in common than random directions, of {len(STATISTICS)}: "
        f"{', '.join(f'{count} in {layer}' for layer, count in shares.items())}. In a layer made with one unit a "
        f"class, the top images of random directions still have a class purity of {sum(by_hand) / len(by_hand):.2f}",
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "U1",
        "3",
        "Random directions of the last hidden layer are semantically indistinguishable from its units.",
        f"holds when every statistic's interval of Cliff's δ between units and uniform random directions is {ALIKE}",
        ("units",),
        PAGE,
        _indistinguishable,
    ),
    Claim(
        "U2",
        "3",
        "Images that excite a unit most share semantic properties.",
        "holds when they have more in common than random images in every statistic, counted as for U1; in part in half "
        "of them",
        ("units",),
        PAGE,
        _share_properties,
    ),
    Claim(
        "U4",
        "3",
        "This puts into question that networks disentangle factors of variation across coordinates.",
        "nothing here. Top images cannot tell a layer that disentangles from one that does not, as a layer made by "
        "hand shows; the statistics over all images know the class and the stroke, and no other factor",
        ("units",),
        PAGE,
        _no_disentangling,
    ),
)
