"""The verdicts on AlexNet follow the numbers."""

import pytest

from tests.shared import make_record
from tutorial_pkg.claims import CLAIMS, judge

BY_ID = {claim.id: claim for claim in CLAIMS}
SETS = ("purity", "entropy", "pixel_distance", "colour_distance", "feature_distance")


def units_record(**changed):
    alike = {"delta": 0.0, "low": -0.1, "high": 0.1, "p_value": 0.9}
    comparisons = dict.fromkeys((*SETS, "class_auc", "class_share"), alike) | changed
    means = {kind: {"purity": 0.4} for kind in ("units", "uniform", "chance")}
    values = {"comparisons": {"units-uniform": comparisons}, "means": means, "num_images": 5000}
    return make_record(experiment="figures3_4", config={"layer": "fc2", "seed": 0}, values=values, arrays={})


ALEXNET = make_record(experiment="alexnet", values={"num_parameters": 2_256_164, "num_classes": 100})
UNITS_WIN = {"delta": 0.5, "low": 0.4, "high": 0.6, "p_value": 0.001}


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, "holds"),
        ({"class_share": UNITS_WIN}, "holds in part"),
        ({"purity": UNITS_WIN}, "does not hold"),
        ({"purity": UNITS_WIN | {"p_value": 0.05 / 7}}, "holds in part"),
        ({"purity": UNITS_WIN | {"delta": 0.14, "low": 0.05, "high": 0.23}}, "holds in part"),
        ({name: {"delta": 0.1, "low": -0.2, "high": 0.4, "p_value": 0.5} for name in SETS}, "does not hold"),
    ],
)
def test_u3(changed, status):
    verdict = judge(BY_ID["U3"], {"figures3_4": [units_record(**changed)], "alexnet": [ALEXNET]})
    assert verdict.status == status
    assert "5,000 validation images" in verdict.numbers
    assert verdict.here == "an AlexNet with 2.3 million weights instead of 61.0, 100 classes, one seed"


def test_u3_names_what_tells_units_apart():
    changed = {"feature_distance": UNITS_WIN, "class_auc": {"delta": 0.1, "low": 0.01, "high": 0.2, "p_value": 0.048}}
    verdict = judge(BY_ID["U3"], {"figures3_4": [units_record(**changed)], "alexnet": [ALEXNET]})
    assert "more in common along units in 1 (distance in features)" in verdict.numbers
    assert "undecided in 1" in verdict.numbers


def attack_record(goal, success=1.0, distortion=0.004, norm=0.5):
    values = {"success": success, "distortion_mean": distortion, "l2_norm_mean": norm, "num_attacked": 64}
    return make_record(experiment="figure5", config={"goal": goal, "seed": 0}, values=values, arrays={})


@pytest.mark.parametrize(
    ("far", "nearest", "status"),
    [
        ({}, {}, "holds"),
        ({"distortion": 0.01, "norm": 1.0}, {}, "holds in part"),
        ({"distortion": 0.05, "norm": 4.0}, {}, "does not hold"),
        ({}, {"success": 0.98}, "does not hold"),
    ],
)
def test_q1(far, nearest, status):
    records = [attack_record("far", **far), attack_record("nearest", **nearest), attack_record("penalty")]
    assert judge(BY_ID["Q1"], {"figure5": records, "alexnet": [ALEXNET]}).status == status
