"""The verdicts on frame bounds follow the numbers."""

import pytest

from tests.shared import make_record
from tutorial_pkg import paper
from tutorial_pkg.claims import CLAIMS, judge

BY_ID = {claim.id: claim for claim in CLAIMS}


@pytest.mark.parametrize(
    ("printed", "status"),
    [
        ({1: 1.0, 2: 1.0, 4: 1.0}, "holds"),
        ({1: 1.0, 2: 1.0, 4: 1.3}, "holds in part"),
        ({1: 1.1, 2: 1.0, 4: 1.0}, "does not hold"),
    ],
)
def test_s1_asks_for_every_stride(printed, status):
    norms = [{"stride": stride, "printed": norm, "ours": 1.0} for stride, norm in printed.items()]
    record = make_record(values={"norms": norms})
    assert judge(BY_ID["S1"], {"spectral_checks": [record]}).status == status


def table5(cell, *factors):
    bounds = zip(paper.TABLE5.items(), factors, strict=True)
    return make_record(cell=cell, values={layer: {"upper": factor * upper} for (layer, (_, upper)), factor in bounds})


@pytest.mark.parametrize(
    ("factors", "status"),
    [
        ([1.24] * 4 + [0.76] * 4, "holds"),
        ([1.24] * 4 + [0.74, 0.74, 1.26, 1.26], "holds in part"),
        ([1.24] * 3 + [1.26] * 5, "does not hold"),
    ],
)
def test_s2_asks_for_trained_weights(factors, status):
    random = table5("random-seed0", *[1.0] * 8)
    assert judge(BY_ID["S2"], {"table5": [random]}).status == "not run"
    assert judge(BY_ID["S2"], {"table5": [random, table5("trained", *factors)]}).status == status


@pytest.mark.parametrize(
    ("seeds", "bound", "status"),
    [
        ([(4.0, 2.0), (3.0, 2.0)], 9.0, "holds"),
        ([(4.0, 2.0), (1.5, 2.0)], 9.0, "holds in part"),
        ([(0.9, 0.1), (0.9, 0.1)], 9.0, "holds in part"),
        ([(0.9, 0.1), (0.9, 0.1)], 0.99, "does not hold"),
    ],
)
def test_s3_asks_for_every_seed_and_for_a_gain_above_one(seeds, bound, status):
    records = [
        make_record(
            config={"name": "Conv", "seed": seed},
            values={"layers": [{"bound": bound, "mean": mean, "noise_mean": noise}] * 2},
        )
        for seed, (mean, noise) in enumerate(seeds)
    ]
    assert judge(BY_ID["S3"], {"layer_gains": records}).status == status


@pytest.mark.parametrize(
    ("gains", "status"),
    [((1.0, 0.9), "holds"), ((1.0, 1.4), "holds in part"), ((1.1, 1.4), "does not hold")],
)
def test_s4_asks_for_every_kind_of_layer(gains, status):
    record = make_record(values={"gains": dict(zip(("ReLU", "max pooling"), gains, strict=True))})
    assert judge(BY_ID["S4"], {"spectral_checks": [record]}).status == status


@pytest.mark.parametrize(
    ("fc", "conv", "between", "status"),
    [
        (0.95, 0.9, 0.2, "holds"),
        (0.95, 0.6, 0.2, "holds in part"),
        (0.95, 0.2, 0.3, "does not hold"),
        (0.2, 0.2, 0.3, "does not hold"),
    ],
)
def test_s5_asks_for_both_architectures(fc, conv, between, status):
    cosines = {("FC", "FC"): fc, ("Conv", "Conv"): conv, ("FC", "Conv"): between, ("Conv", "FC"): 0.0}
    pairs = [
        {"source": source, "target": target, "cosine": cosine, "share_of_own_gain": 0.5}
        for (source, target), cosine in cosines.items()
    ]
    record = make_record(values={"pairs": pairs})
    assert judge(BY_ID["S5"], {"unstable_directions": [record]}).status == status
