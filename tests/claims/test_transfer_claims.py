"""The verdicts on transfer ask how much is transferred, not only whether."""

import pytest

from tests.shared import make_record
from tutorial_pkg.claims import CLAIMS, judge

BY_ID = {claim.id: claim for claim in CLAIMS}
SURE, UNSURE = 1e-9, 0.5


def table2(rate, p_value=SURE):
    models = ["a", "b", "c"]
    others = {m: {n: p_value for n in models if n != m} for m in models}
    errors = {m: {n: 100 if n == m else round(100 * rate) for n in models} for m in models}
    values = {
        "num_correct": dict.fromkeys(models, 100),
        "errors_of_correct": errors | {f"{m} noise": dict.fromkeys(models, 0) for m in models},
        "p_over_same_norm_noise": others,
    }
    return [make_record(experiment="table2", profile="laptop", values=values)]


def tables3_4(within, across, p_value=SURE):
    models = ["M1", "M1'", "M1-restart", "M2"]
    recipes = {name: {"model": "wide" if name == "M1'" else "narrow"} for name in models}
    errors = {}
    for kind in ("", " amplified", " noise"):
        for row in models:
            errors[row + kind] = {
                column: 0 if kind == " noise" else round(1000 * (across if "M2" in (row, column) else within))
                for column in models
            }
    values = {
        "num_correct": dict.fromkeys(models, 1000),
        "errors_of_correct": errors,
        "p_over_same_norm_noise": {m: {n: p_value for n in models if n != m} for m in models},
    }
    return [make_record(experiment="tables3_4", profile="laptop", config={"recipes": recipes}, values=values)]


@pytest.mark.parametrize(
    ("rate", "p_value", "status"),
    [(0.2, SURE, "holds"), (0.05, SURE, "holds in part"), (0.2, UNSURE, "does not hold")],
)
def test_t1_asks_for_a_large_fraction(rate, p_value, status):
    verdict = judge(BY_ID["T1"], {"table2": table2(rate, p_value)})
    assert verdict.status == status
    assert "in the paper, clean errors included, 21.9 %" in verdict.numbers


@pytest.mark.parametrize(
    ("across", "p_value", "status"),
    [(0.2, SURE, "holds"), (0.03, SURE, "holds in part"), (0.2, UNSURE, "does not hold")],
)
def test_t4_has_the_same_condition(across, p_value, status):
    assert judge(BY_ID["T4"], {"tables3_4": tables3_4(0.3, across, p_value)}).status == status


@pytest.mark.parametrize(
    ("within", "across", "status", "lost"),
    [(0.3, 0.2, "holds", "33 %"), (0.8, 0.2, "holds in part", "75 %"), (0.05, 0.04, "holds in part", "20 %")],
)
def test_t7_asks_what_is_left_across_training_sets(within, across, status, lost):
    verdict = judge(BY_ID["T7"], {"table2": table2(0.2), "tables3_4": tables3_4(within, across)})
    assert verdict.status == status
    assert f"{lost} of the transfer is lost" in verdict.numbers
    assert "in the paper's Table 4 58 %" in verdict.numbers
