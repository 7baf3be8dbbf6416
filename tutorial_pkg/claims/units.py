"""The claims of section 3: what a unit's favourite images have in common, and what a random direction's have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tutorial_pkg.claims.base import Claim, Records, Verdict, graded
from tutorial_pkg.records import Record
from tutorial_pkg.units import NEGLIGIBLE, OF_DIRECTIONS, STATISTICS, pooled, verdict

PAGE = "sections/units.py"
LAYER = "hidden"
"""The last hidden layer, which the paper looks at."""
OF_SETS = tuple(name for name in STATISTICS if name not in OF_DIRECTIONS)


def _effect(records: Sequence[Record], layer: str, pair: str, statistic: str) -> tuple[float, float, float]:
    """Return Cliff's δ and its interval over all networks, for the smallest sets of top images."""
    effects = []
    for record in records:
        sizes = record.values["layers"][layer]["by_k"]
        found = sizes[min(sizes, key=int)]["comparisons"][pair][statistic]
        effects.append((found["delta"], found["low"], found["high"]))
    return pooled(effects)


def _verdicts(records: Sequence[Record], layer: str, pair: str, statistics: Sequence[str]) -> dict[str, str]:
    return {name: verdict(*_effect(records, layer, pair, name)[1:]) for name in statistics}


def _describe(found: dict[str, str], what: dict[str, str]) -> str:
    return ", ".join(f"{what[name]} for {count}" for name, count in Counter(found.values()).most_common())


COMPARED = {
    "negligible": "no difference that matters",
    "undecided": "undecided",
    "first": "more in common along units",
    "second": "more in common along random directions",
}


def _indistinguishable(records: Records) -> Verdict:
    found = records["units"]
    sets = _verdicts(found, LAYER, "units-uniform", OF_SETS)
    directions = _verdicts(found, LAYER, "units-uniform", OF_DIRECTIONS)
    alike = [name for name, word in (sets | directions).items() if word in ("negligible", "undecided")]
    apart = [name.replace("_", " ") for name in sets | directions if name not in alike]
    largest = max(abs(_effect(found, LAYER, "units-uniform", name)[0]) for name in OF_SETS)
    return Verdict(
        graded(
            all(word == "negligible" for word in (sets | directions).values()),
            sum(word == "negligible" for word in sets.values()) >= len(sets) / 2 and "first" not in sets.values(),
        ),
        f"of {len(sets)} statistics of the top images: {_describe(sets, COMPARED)} (largest |δ| {largest:.2f}, "
        f"negligible below {NEGLIGIBLE}); of {len(directions)} statistics of the directions over all images: "
        f"{_describe(directions, COMPARED)}{'; apart: ' + ', '.join(apart) if apart else ''}",
    )


def _share_properties(records: Records) -> Verdict:
    found = records["units"]
    words = _verdicts(found, LAYER, "units-chance", OF_SETS)
    deltas = [_effect(found, LAYER, "units-chance", name)[0] for name in OF_SETS]
    more = sum(word == "first" for word in words.values())
    return Verdict(
        graded(more == len(words), more >= len(words) / 2),
        f"units' top images have more in common than random images in {more} of {len(words)} statistics, "
        f"δ {min(deltas):.2f} to {max(deltas):.2f}",
    )


def _no_disentangling(records: Records) -> Verdict:
    found = records["units"]
    layers = [layer for layer in found[0].values["layers"] if layer in ("pool", LAYER, "logits")]
    shares = {}
    for layer in layers:
        words = _verdicts(found, layer, "units-uniform", tuple(STATISTICS))
        shares[layer] = sum(word == "first" for word in words.values())
    whole = all(count == 0 for count in shares.values())
    by_hand = []  # a layer with one unit a class: disentangled by construction, and yet …
    for record in found:
        sizes = record.values["layers"]["onehot"]["by_k"]
        by_hand.append(sizes[min(sizes, key=int)]["means"]["uniform"]["purity"])
    return Verdict(
        graded(whole, shares[LAYER] <= len(STATISTICS) / 4),
        f"statistics in which units have more in common than random directions, of {len(STATISTICS)}: "
        f"{', '.join(f'{count} in {layer}' for layer, count in shares.items())}; the test knows images by class "
        f"and stroke only. Top images cannot decide it: in a layer made with one unit a class, those of random "
        f"directions still have a class purity of {sum(by_hand) / len(by_hand):.2f}",
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "U1",
        "3",
        "Random directions of the last hidden layer are semantically indistinguishable from its units.",
        f"holds when every statistic's interval of Cliff's δ between units and uniform random directions is within "
        f"±{NEGLIGIBLE}; in part when half of those of the top images are and none favours units",
        ("units",),
        PAGE,
        _indistinguishable,
    ),
    Claim(
        "U2",
        "3",
        "Images that excite a unit most share semantic properties.",
        "holds when they have more in common than random images in every statistic; in part in half of them",
        ("units",),
        PAGE,
        _share_properties,
    ),
    Claim(
        "U4",
        "3",
        "So networks do not disentangle factors of variation across coordinates.",
        "holds when in no layer, from pooling to the logits, units have more in common than random directions in any "
        "statistic; in part when in the hidden layer at most a quarter of them favours units",
        ("units",),
        PAGE,
        _no_disentangling,
    ),
)
