from tests.test_records import make_record
from tutorial_pkg.durations import write_durations


def records(*seconds, device="CPU, 1 thread"):
    return [make_record(provenance={"seconds": s, "device": device, "versions": {}}) for s in seconds]


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
