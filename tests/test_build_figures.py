"""The entry point: computes what is missing, survives being killed, and says what it does not know."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import build_figures
import pytest
import torch

from tutorial_pkg import experiments
from tutorial_pkg.experiments.base import Context, Experiment, Result
from tutorial_pkg.figures import Renderer
from tutorial_pkg.freshness import Confirmation, write_confirmations
from tutorial_pkg.records import Record


@dataclass(frozen=True)
class Cell:
    dataset: str
    seed: int
    index: int


@dataclass(frozen=True)
class Config:
    seed: int = 0
    count: int = 4


@dataclass
class Journal:
    """What the toy experiment did, and after how many cells it is to be killed."""

    ran: list[str] = field(default_factory=list)
    kill_after: int | None = None


JOURNAL = Journal()


def cells(config: Config) -> dict[str, Cell]:
    return {f"cell{i}-seed{config.seed}": Cell("digits", config.seed, i) for i in range(config.count)}


def run(config: Cell, context: Context) -> Result:
    if JOURNAL.kill_after is not None and len(JOURNAL.ran) >= JOURNAL.kill_after:
        raise KeyboardInterrupt
    JOURNAL.ran.append(f"{config.seed}/{config.index}")
    draw = torch.rand(3, generator=torch.Generator().manual_seed(config.seed + config.index))
    return Result({"total": float(draw.sum())}, {"draw": draw.numpy()})


def render(records: Sequence[Record], output: Renderer) -> None:
    output.table("toy", ["cell", "total"], [[r.cell, f"{r.values['total']:.3f}"] for r in records])
    output.value("first", f"{records[0].values['total']:.3f}")


TOY = Experiment("toy", "A toy", "0", {p: Config() for p in experiments.PROFILES}, cells, run, render)


@pytest.fixture
def build(tmp_path, monkeypatch):
    monkeypatch.setattr(build_figures, "EXPERIMENTS", {"toy": TOY})
    monkeypatch.setattr(Experiment, "fingerprint", "f" * 64)
    JOURNAL.ran.clear()
    JOURNAL.kill_after = None

    def call(*arguments):
        folders = ["--results", str(tmp_path / "results"), "--output", str(tmp_path / "out")]
        return build_figures.main([*arguments, "--quiet", "--device", "cpu", *folders])

    call.root = tmp_path
    call.records = lambda: sorted((tmp_path / "results").rglob("*.json"))
    return call


def without_times(path):
    content = json.loads(path.read_text())
    content.pop("provenance")
    return content


def test_computes_renders_and_then_has_nothing_to_do(build):
    assert build() == 0
    assert len(JOURNAL.ran) == 4
    assert "cell3-seed0" in (build.root / "out" / "toy" / "toy.md").read_text()
    assert "toy.first" in json.loads((build.root / "out" / "values.json").read_text())
    assert build() == 0
    assert len(JOURNAL.ran) == 4


def test_a_killed_run_goes_on_where_it_was(build):
    JOURNAL.kill_after = 2
    with pytest.raises(KeyboardInterrupt):
        build()
    assert len(build.records()) == 2
    JOURNAL.kill_after = None
    assert build() == 0
    assert JOURNAL.ran == ["0/0", "0/1", "0/2", "0/3"]


@pytest.mark.parametrize("error", [MemoryError("needs about 31 GiB"), FileNotFoundError("no weights; download them")])
def test_a_cell_that_lacks_memory_or_weights_is_left_out_and_named(build, capsys, monkeypatch, error):
    def run_some(config, context):
        if config.index == 1:
            raise error
        return run(config, context)

    monkeypatch.setattr(build_figures, "EXPERIMENTS", {"toy": replace(TOY, run=run_some)})
    assert build("--compute-only") == 1
    assert f"toy cell1-seed0 is left out: {error}" in capsys.readouterr().err
    assert [path.stem for path in build.records()] == ["cell0-seed0", "cell2-seed0", "cell3-seed0"]
    assert build("--check") == 1


def test_cells_whose_data_are_not_there_are_left_out_and_named(build, capsys, monkeypatch):
    def two_sets(config):
        return {
            name: replace(cell, dataset="photos" if cell.index == 1 else "digits")
            for name, cell in cells(config).items()
        }

    def data(self, name):
        if name == "photos":
            raise FileNotFoundError("no photos in data; download them")
        return self.dataset(name)

    monkeypatch.setattr(build_figures, "EXPERIMENTS", {"toy": replace(TOY, cells=two_sets)})
    monkeypatch.setattr(experiments.Context, "data", data)
    assert build() == 1
    assert "cells of photos are left out: no photos in data; download them" in capsys.readouterr().err
    assert [path.stem for path in build.records()] == ["cell0-seed0", "cell2-seed0", "cell3-seed0"]


@pytest.mark.parametrize("pair", [("--render-only", "--compute-only"), ("--check", "--status")])
def test_options_that_exclude_each_other_are_refused(build, capsys, pair):
    with pytest.raises(SystemExit):
        build(*pair)
    said = capsys.readouterr().err
    assert all(option in said for option in pair)


def test_two_runs_give_the_same_records(build, tmp_path):
    build()
    first = [without_times(p) for p in build.records()]
    arrays = [p.with_suffix(".npz").read_bytes() for p in build.records()]
    for path in build.records():
        path.unlink()
    build()
    assert [without_times(p) for p in build.records()] == first
    assert [p.with_suffix(".npz").read_bytes() for p in build.records()] == arrays


def test_stale_cells_are_computed_again(build, monkeypatch):
    build()
    monkeypatch.setattr(Experiment, "fingerprint", "0" * 64)
    assert build("--check") == 0
    assert build("--check", "--fresh") == 1
    build("--render-only")
    assert "stale" in (build.root / "out" / "toy" / "toy.md").read_text()
    build()
    assert len(JOURNAL.ran) == 8
    assert "stale" not in (build.root / "out" / "toy" / "toy.md").read_text()


def test_confirmed_cells_are_kept(build, monkeypatch, capsys):
    build()
    steps = [("f", "1", "laptop"), ("1", "0", "quick")]
    write_confirmations(build.root / "results", [Confirmation("toy", a * 64, b * 64, p, 4, 0.0) for a, b, p in steps])
    monkeypatch.setattr(Experiment, "fingerprint", "0" * 64)
    capsys.readouterr()
    build("--status")
    assert capsys.readouterr().out.count(" confirmed\n") == 4
    assert build("--check", "--fresh") == 0
    assert capsys.readouterr().out == ""
    assert build() == 0
    assert len(JOURNAL.ran) == 4
    shown = (build.root / "out" / "toy" / "toy.md").read_text()
    assert "[confirmed][confirmed-records]" in shown
    assert "its quick run gives the same numbers" in shown
    assert "stale" not in shown
    monkeypatch.setattr(Experiment, "fingerprint", "1" * 64)
    build("--render-only")
    assert "its laptop run gives the same numbers" in (build.root / "out" / "toy" / "toy.md").read_text()


def test_one_stale_cell_makes_a_figure_stale(build, monkeypatch):
    build("--shard", "1/2")
    monkeypatch.setattr(Experiment, "fingerprint", "1" * 64)
    build("--shard", "2/2")
    monkeypatch.setattr(Experiment, "fingerprint", "0" * 64)
    write_confirmations(build.root / "results", [Confirmation("toy", "1" * 64, "0" * 64, "quick", 4, 0.0)])
    build("--render-only")
    shown = (build.root / "out" / "toy" / "toy.md").read_text()
    assert "[stale][what-is-kept-of-a-run]" in shown
    assert "confirmed" not in shown
    build()
    assert JOURNAL.ran == ["0/0", "0/2", "0/1", "0/3", "0/0", "0/2"]  # those of code f… again, those of 1… not


@pytest.mark.parametrize("arguments", [[], ["--status"], ["--check"], ["--render-only"]])
def test_damaged_confirmations_stop_the_script(build, capsys, arguments):
    (build.root / "results").mkdir()
    (build.root / "results" / "confirmed.json").write_text("[{")
    assert build(*arguments) == 1
    assert "confirmed.json is damaged" in capsys.readouterr().err


def test_a_damaged_record_is_named_and_computed_again(build, capsys):
    build()
    damaged = build.records()[1]
    damaged.write_text(damaged.read_text()[:40])
    assert build("--check") == 1
    assert "damaged" in capsys.readouterr().out
    assert build("--status") == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("damaged" in line for line in lines) == 1
    assert sum("fresh" in line for line in lines) == 3
    assert build("--render-only") == 1
    assert str(damaged) in capsys.readouterr().err
    assert build() == 0
    assert str(damaged) in capsys.readouterr().err
    assert len(JOURNAL.ran) == 5


def test_check_and_status(build, capsys):
    assert build("--check") == 1
    assert "cell0-seed0: missing" in capsys.readouterr().out
    assert build("--status") == 0
    assert capsys.readouterr().out.count("missing") == 4
    build()
    assert build("--check", "--fresh") == 0
    build("--status")
    assert capsys.readouterr().out.count("fresh") >= 4


def test_shards_share_the_work(build):
    build("--shard", "1/3", "--compute-only")
    assert JOURNAL.ran == ["0/0", "0/3"]
    assert not (build.root / "out").exists()
    build("--shard", "2/3")
    build("--shard", "3/3")
    assert sorted(JOURNAL.ran) == ["0/0", "0/1", "0/2", "0/3"]
    assert build("--check", "--fresh") == 0


def test_seed_moves_every_cell(build):
    build("--seed", "7")
    assert {p.stem for p in build.records()} == {f"cell{i}-seed7" for i in range(4)}


def test_the_largest_complete_profile_is_shown(build):
    build()
    build("--profile", "laptop", "--shard", "1/2")
    fragment = build.root / "out" / "toy" / "toy.md"
    assert "<b>quick</b>" in fragment.read_text()
    build("--profile", "laptop")
    assert "<b>laptop</b>" in fragment.read_text()


def test_list_names_the_experiments(build, capsys):
    assert build("--list") == 0
    assert "A toy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "table99"], "unknown experiment table99; known are toy"),
        (["--profile", "huge"], "'quick', 'laptop', 'paper'"),
        (["--shard", "3/2"], "expected I/N with 1 ≤ I ≤ N"),
        (["--fresh"], "--fresh goes with --check"),
    ],
)
def test_bad_arguments_say_what_there_is(build, capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        build(*arguments)
    assert stopped.value.code == 2
    assert message.replace("'", "") in capsys.readouterr().err.replace("'", "")


def test_a_device_that_is_not_there_is_refused(build, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        build_figures.main(["--device", "cuda"])
    assert "device cuda is not available here; available: cpu" in capsys.readouterr().err


def test_a_device_is_chosen_that_has_been_tried(build, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert build_figures.resolve_device("auto", None) == "cpu"
    assert build_figures.resolve_device("mps", None) == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert build_figures.resolve_device("auto", None) == "cuda"


def test_fragments_of_records_that_are_gone_are_removed(build):
    build()
    fragment, other = (build.root / "out" / "toy" / name for name in ("toy.md", "of-yesterday.md"))
    other.write_text("old")
    build("--render-only")
    assert fragment.exists()
    assert not other.exists()
    build.records()[0].unlink()
    build("--render-only")
    assert not fragment.exists()
