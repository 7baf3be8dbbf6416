"""The ledger answers every claim, from records alone, and can say no."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.shared import make_record
from tutorial_pkg.claims import CLAIMS, Claim, Verdict, judge, write_ledger
from tutorial_pkg.claims.base import graded
from tutorial_pkg.claims.rendering import IN_SHORT, PAGES, at_a_glance, ledger
from tutorial_pkg.experiments import EXPERIMENTS

EXPECTED = {
    *("U1", "U2", "U3", "U4", "B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "T1", "T2", "T3", "T4", "T5", "T6", "T7"),
    *("A1", "A2", "A3", "A4", "A5", "S1", "S2", "S3", "S4", "S5", "Q1", "Q2", "D1", "O1"),
}
BY_ID = {claim.id: claim for claim in CLAIMS}


def table1_record(name="softmax1", **values):
    defaults = {
        "train_error": 0.067,
        "test_error": 0.074,
        "num_attacked": 100,
        "num_nearest": 100,
        "success_targeted": 1.0,
        "success_nearest": 1.0,
        "distortion_random_target_mean": 0.05,
        "distortion_random_target_rms": 0.06,
        "distortion_penalty_mean": 0.0505,
        "distortion_penalty_rms": 0.061,
        "distortion_nearest_mean": 0.03,
        "distortion_nearest_max": 0.09,
    }
    return make_record(
        experiment="table1",
        profile="laptop",
        config={"name": name, "seed": 0},
        values={**defaults, **values},
        arrays={"nearest_rms": np.array([0.02, 0.09], dtype=np.float32)},
    )


def test_every_claim_of_the_paper_is_in_the_ledger_once():
    assert len(CLAIMS) == len(BY_ID)
    assert set(BY_ID) == EXPECTED


def test_every_claim_has_a_short_name_for_the_contents():
    assert set(IN_SHORT) == set(BY_ID)
    assert max(map(len, IN_SHORT.values())) < 24  # one line beside the page
    assert 'data-toc-label="U1. random directions" }' in ledger(CLAIMS, {})


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_claims_are_complete(claim, repository):
    assert claim.statement.endswith(".")
    assert claim.decided_by
    assert set(claim.experiments) <= set(EXPERIMENTS), "a claim rests on an experiment that is not registered"
    if claim.page:
        assert (repository / "docs" / claim.page).is_file()
    if claim.judge is not None:
        assert claim.experiments
        assert claim.page


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_without_records_nothing_is_decided(claim):
    verdict = judge(claim, {})
    assert verdict.status == "not run"


@pytest.mark.parametrize(
    ("claim", "name", "values", "status"),
    [
        ("B1", "softmax1", {}, "holds"),
        ("B1", "softmax1", {"success_nearest": 0.995}, "holds in part"),
        ("B1", "softmax1", {"success_nearest": 0.98}, "does not hold"),
        ("B1", "softmax1", {"success_targeted": 0.98}, "does not hold"),
        ("B2", "softmax1", {"success_nearest": 0.995}, "holds in part"),
        ("B2", "softmax1", {"success_nearest": 0.98}, "does not hold"),
        ("B5", "softmax1", {}, "holds"),
        ("B5", "softmax1", {"distortion_penalty_mean": 0.053}, "holds in part"),
        ("B5", "softmax1", {"distortion_penalty_mean": 0.063}, "does not hold"),
        ("B6", "softmax3", {}, "holds"),
        ("B6", "softmax3", {"success_targeted": 0.95}, "holds in part"),
        ("B6", "softmax3", {"success_targeted": 0.85}, "does not hold"),
        ("B7", "softmax1", {}, "holds"),
        ("B7", "softmax1", {"train_error": 0.075}, "does not hold"),
        ("B7", "softmax1", {"test_error": 0.078}, "does not hold"),
    ],
)
def test_verdicts_follow_the_numbers(claim, name, values, status):
    assert judge(BY_ID[claim], {"table1": [table1_record(name, **values)]}).status == status


def test_the_worst_network_decides():
    worse = table1_record("softmax3", distortion_penalty_mean=0.053)
    assert judge(BY_ID["B5"], {"table1": [table1_record(), worse]}).status == "holds in part"


@pytest.mark.parametrize(("failing", "status"), [(1, "holds in part"), (2, "does not hold")])
def test_b7_holds_in_part_where_half_of_the_networks_are_close(failing, status):
    right = table1_record()
    wrong = [table1_record(name, test_error=0.5) for name in ("softmax2", "softmax3")[:failing]]
    assert judge(BY_ID["B7"], {"table1": [right, *wrong]}).status == status


def test_the_papers_errors_are_those_of_mnist():
    quick = replace(table1_record(), profile="quick")
    assert judge(BY_ID["B7"], {"table1": [quick]}).status == "not run"


MACHINES = {"resists": (0.3, 0.05), "far": (0.9, 0.3), "fooled": (0.9, 0.05)}


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (("resists", "far", "far"), "holds"),
        (("resists", "far", "fooled"), "holds in part"),
        (("fooled", "fooled", "fooled"), "does not hold"),
    ],
)
def test_b4_asks_whether_a_kernel_machine_is_fooled_by_little(found, status):
    records = [
        make_record(
            config={"gamma": 0.02},
            values={"success": success, "distortion_mean": distortion, "error_under_noise": 0.01},
        )
        for success, distortion in (MACHINES[name] for name in found)
    ]
    assert judge(BY_ID["B4"], {"kernel_machine": records}).status == status


def noise_records(*errors, of=1000):
    """Two networks, of which only the second is fooled by noise, and that in so many cases with each seed."""
    return [
        make_record(
            values={
                "num_correct": {"a": of, "b": of},
                "errors_of_correct": {"a noise": {"a": 0, "b": 0}, "b noise": {"a": 0, "b": count}},
            },
        )
        for count in errors
    ]


@pytest.mark.parametrize(
    ("errors", "of", "status"),
    [
        ((0, 10), 1000, "holds"),
        ((30, 0), 1000, "holds in part"),
        ((0, 30), 1000, "holds in part"),
        ((0, 0), 100, "holds in part"),  # nothing was seen in a hundred images: up to 3 % may be fooled
        ((0, 110), 1000, "does not hold"),
    ],
)
def test_b3_asks_for_the_upper_limit_of_the_worst_seed(errors, of, status):
    assert judge(BY_ID["B3"], {"table2": noise_records(*errors, of=of)}).status == status


@pytest.mark.parametrize(
    ("rms", "errors", "status"),
    [
        ([0.05] * 20, 0, "holds in part"),
        ([0.05] * 19 + [0.2], 0, "holds in part"),
        ([0.05] * 18 + [0.2] * 2, 0, "does not hold"),
        ([0.05] * 20, 30, "does not hold"),
    ],
)
def test_d1_holds_in_part_at_most(rms, errors, status):
    near = replace(table1_record(), arrays={"nearest_rms": np.array(rms)})
    assert judge(BY_ID["D1"], {"table1": [near], "table2": noise_records(errors)}).status == status


def test_small_is_part_of_what_is_claimed():
    records = {"table1": [table1_record(distortion_nearest_mean=0.2)]}
    assert judge(BY_ID["B1"], records).status == "holds in part"
    records = {"table1": [table1_record("softmax3", distortion_random_target_rms=0.2)]}
    assert judge(BY_ID["B6"], records).status == "holds in part"
    records = {"table1": [table1_record(distortion_penalty_rms=0.1)]}
    assert judge(BY_ID["B7"], records).status == "does not hold"


@pytest.mark.parametrize(
    ("gains", "status"),
    [
        ({"Conv": (4.0, 2.0), "FC": (0.5, 0.1)}, "holds"),
        ({"Conv": (2.0, 4.0), "FC": (0.5, 0.1)}, "holds in part"),
    ],
)
def test_s3_asks_for_one_network_of_several_layers(gains, status):
    layers = {name: [{"bound": 9.0, "mean": mean, "noise_mean": noise}] for name, (mean, noise) in gains.items()}
    linear = make_record(config={"name": "softmax1"}, values={"layers": [{"bound": 9.0, "mean": 6, "noise_mean": 1}]})
    records = [make_record(config={"name": name}, values={"layers": found * 2}) for name, found in layers.items()]
    verdict = judge(BY_ID["S3"], {"layer_gains": [linear, *records]})
    assert verdict.status == status
    assert "softmax1" not in verdict.numbers


def test_failed_examples_are_counted():
    verdict = judge(
        BY_ID["B1"], {"table1": [table1_record(), table1_record(success_targeted=0.999, num_attacked=3000)]}
    )
    assert verdict.status == "holds in part"
    assert verdict.numbers.startswith("3,300 searches in 2 networks")
    assert "3 did not get the class searched for (softmax1)" in verdict.numbers


def test_noise_is_judged_as_drawn_and_shown_clipped():
    def figure7(other=0.5, **accuracy):
        values = {"accuracy_adversarial": 0.0, "accuracy_noise": 0.45, "accuracy_noise_clipped": 0.17}
        return {
            "figure7": [
                make_record(config={"name": "N200-200-10", "seed": 0}, values=values | {"accuracy_noise": other}),
                make_record(config={"name": "softmax1", "seed": 0}, values=values | accuracy),
            ]
        }

    verdict = judge(BY_ID["B8"], figure7())
    assert verdict.status == "holds"
    for text in (verdict.numbers, verdict.here):
        assert "softmax1 45 %" in text
        assert "softmax1 17 %" in text
    assert judge(BY_ID["B8"], figure7(accuracy_noise=0.35)).status == "holds in part"
    assert judge(BY_ID["B8"], figure7(accuracy_noise=0.65)).status == "holds in part"
    assert judge(BY_ID["B8"], figure7(0.25, accuracy_noise=0.25)).status == "does not hold"
    assert judge(BY_ID["B8"], figure7(accuracy_adversarial=0.01)).status == "does not hold"


def test_one_far_image_is_enough_against_each_sample():
    record = table1_record()
    assert judge(BY_ID["B2"], {"table1": [record]}).status == "holds"
    far = replace(record, arrays={"nearest_rms": np.array([0.02, 0.02, 0.3])})
    assert judge(BY_ID["B2"], {"table1": [far]}).status == "holds in part"
    most = replace(record, arrays={"nearest_rms": np.array([0.02, 0.3, 0.3])})
    assert judge(BY_ID["B2"], {"table1": [most]}).status == "does not hold"


def test_graded():
    assert graded(True, True) == "holds"
    assert graded(False, True) == "holds in part"
    assert graded(False, False) == "does not hold"


def test_pages(tmp_path):
    claims = [
        Claim("U1", "3", "One.", "a test", ("toy",), "sections/units.py", lambda r: Verdict("holds", "1 of 1")),
        Claim("T2", "4.2", "Two.", "another"),
    ]
    records = {"toy": [make_record(experiment="toy")]}
    full = ledger(claims, records)
    assert re.search(r"### U1\. One\. \{ #u1", full)
    assert "✔ holds**: 1 of 1" in full
    assert "○ not run" in full
    assert "<small>In the paper: §3 · evidence: [Units](sections/units.py) · records: toy (quick)</small>\n" in full
    glance = at_a_glance(claims, records)
    assert "Of 2 claims" in glance
    assert '| <span class="mark holds">✔<span> holds on digits</span></span> |' in glance
    assert 'Two. | <span class="mark not-run">○<span> not run</span></span> |' in glance
    assert "Not counted" not in glance
    write_ledger(tmp_path, claims, records)
    assert (tmp_path / "claims" / "ledger.md").read_text() == full


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_called_by_their_titles(page, repository):
    assert f"\n# # {PAGES[page]}\n" in (repository / "docs" / page).read_text(encoding="utf-8")


def test_open_questions_are_shown_and_not_counted():
    question = Claim("O1", "reviews", "Why?", "nothing", ("toy",), "sections/units.py", lambda r: Verdict("open", "1"))
    claim = Claim("U1", "3", "One.", "a", ("toy",), "sections/units.py", lambda r: Verdict("holds", "1", "a toy"))
    glance = at_a_glance([claim, question], {"toy": [make_record(experiment="toy", profile="laptop")]})
    assert glance.startswith("Of 1 claims: **1** ✔ holds. Not counted: **1** ? open (nothing here can decide it).\n")
    assert "**2** ? open (nothing here can decide them)" in at_a_glance(
        [question, question], {"toy": [make_record(experiment="toy")]}
    )
    assert 'Why? | <span class="mark open">?<span> open</span></span> |' in glance
    assert "One.<br><small>Here: a toy.</small> |" in glance
