import pytest

from tests.shared import make_record
from tutorial_pkg.durations import from_empty_cache, write_durations


def record(seconds, device="CPU, 1 thread", **changes):
    return make_record(provenance={"seconds": seconds, "device": device, "versions": {}}, **changes)


def records(*seconds, device="CPU, 1 thread"):
    return [record(s, device) for s in seconds]


RUNS = {
    "table1": {"quick": records(1.2, 2.3), "paper": records(3600, 3600.0)},
    "figure5": {"quick": records(119.4), "laptop": records(1000, device="CPU, 2 threads")},
}


def test_times_add_up_by_experiment_and_by_profile(tmp_path):
    values = write_durations(tmp_path, RUNS, ("quick", "laptop", "paper"))
    text = (tmp_path / "durations" / "experiments.md").read_text()
    assert "| `table1` | 4 s | – | 2.0 h |" in text
    assert "| `figure5` | 119 s | 17 min | – |" in text
    assert "| together | 2 min | 17 min | 2.0 h |" in text
    assert "`laptop` on CPU, 2 threads; `paper` on CPU, 1 thread" in text
    assert values["durations.quick"] == "2 min"
    assert values["durations.quick.experiments"] == "2 of 2"
    assert values["durations.paper.experiments"] == "1 of 2"


def test_a_profile_without_records_takes_no_time_and_names_no_device(tmp_path):
    values = write_durations(tmp_path, {"table1": {}}, ("quick",))
    assert values == {"durations.quick": "0 s", "durations.quick.experiments": "0 of 1"}
    assert "added up: ." not in (tmp_path / "durations" / "experiments.md").read_text()


@pytest.mark.parametrize(
    ("own", "training", "expected"),
    [(356.0, 6000.0, (6356.0, True)), (356.0, 0.0, (356.0, False)), (446.0, 100.0, (446.0, False))],
)
def test_training_that_a_record_leaves_out_is_added(own, training, expected):
    found = {"laptop": [record(own, values={"training": {"seconds": training}})]}
    assert from_empty_cache(found, "laptop", ("laptop",)) == expected


def test_stages_of_a_training_are_added_up():
    found = {"laptop": [record(50.0, values={"training": {"seconds": [40.0, 20.0]}})]}
    assert from_empty_cache(found, "laptop", ("laptop",)) == (110.0, True)


def test_other_seeds_say_what_a_model_from_the_cache_takes():
    seeds = [record(seconds, config={"epochs": 300, "seed": i}) for i, seconds in enumerate((0.6, 1000.0, 1100.0))]
    found = {"paper": [*seeds, record(5.0, config={"epochs": 1, "seed": 0})]}
    assert from_empty_cache(found, "paper", ("paper",)) == (3105.0, True)


def test_a_smaller_profile_says_what_a_model_from_the_cache_takes_at_least():
    found = {"laptop": [record(84.0, cell="a"), record(9.0, cell="b")], "paper": [record(0.1, cell="a")]}
    assert from_empty_cache(found, "paper", ("laptop", "paper")) == (84.0, True)
    assert from_empty_cache(found, "laptop", ("laptop", "paper")) == (93.0, False)


def test_what_is_filled_in_is_marked(tmp_path):
    write_durations(tmp_path, {"alexnet": {"quick": [record(1.0, values={"training": {"seconds": 8.0}})]}}, ("quick",))
    text = (tmp_path / "durations" / "experiments.md").read_text()
    assert "| `alexnet` | 9 s* |" in text
    assert "\\*: a model came from the cache" in text
