"""The claim about cars follows the record."""

import pytest

from tests.shared import make_record
from tutorial_pkg.claims import CLAIMS, judge

(Q2,) = [claim for claim in CLAIMS if claim.id == "Q2"]


def figure6(**values):
    defaults = {
        "num_cars": 250,
        "num_recognised": 200,
        "num_attacked": 200,
        "success": 1.0,
        "distortion": {"mean": 0.002, "max": 0.05},
        "missed_under_noise": 0.01,
        "success_in_8_bits": {"1": 0.5, "2": 1.0},
    }
    config = {"recipe": {"model": "quocnet-tiny"}, "seed": 0}
    return {
        "figure6": [make_record(experiment="figure6", profile="laptop", config=config, values={**defaults, **values})]
    }


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({}, "holds"),
        ({"num_attacked": 100}, "holds"),
        ({"num_attacked": 99}, "holds in part"),
        ({"distortion": {"mean": 0.05, "max": 0.1}}, "holds in part"),
        ({"success": 0.995}, "does not hold"),
    ],
)
def test_verdict(values, status):
    verdict = judge(Q2, figure6(**values))
    assert verdict.status == status
    assert "of 250 validation cars" in verdict.numbers
    assert "instead of 1.2 billion, one seed" in verdict.here
