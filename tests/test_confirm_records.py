"""Confirming records: what counts as the same number, and the whole way on a toy package with two commits."""

import math
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import confirm_records
import numpy as np
import pytest

from tutorial_pkg import files, records
from tutorial_pkg.freshness import Confirmation, read_confirmations, write_confirmations


def sizes(old, new):
    return {gap.path: gap.size for gap in confirm_records.gaps(old, new)}


@pytest.mark.parametrize(
    "value",
    [1, 1.5, True, None, "name", math.nan, math.inf, -math.inf, 0.0, [1, [2.0, "x"]], {"a": {"b": [math.nan]}}, [], {}],
)
def test_a_value_equals_itself(value):
    assert sizes({"x": value}, {"x": value}) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (1.0, 1.0009),
        (-2e5, -2e5 * 1.0009),
        (0.0, 1e-10),
        (3, 3.0),
        (np.array([1.0, 1e-4, math.nan]), np.array([1.0009, 0.0, math.nan])),  # relative to the largest entry
        (np.array([math.inf, 1.0]), np.array([math.inf, 1.0009])),
        (np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint8)),
        (np.array([1, 2]), np.array([1, 2])),
        ({"seconds": [1.0, 2.0], "peak_memory_mb": 5, "memory": 1}, {"seconds": 7.0, "memory": 2}),
    ],
)
def test_what_agrees(old, new):
    assert all(size <= confirm_records.TOLERANCE for size in sizes({"x": old}, {"x": new}).values())


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (1.0, 1.0011, "x"),
        (1e-6, 1.1e-6, "x"),
        (1.0, -1.0, "x"),
        (1.0, math.nan, "x"),
        (math.inf, -math.inf, "x"),
        (1000, 1001, "x"),  # a count is exact, however large
        (True, 1, "x"),
        (True, 1.0, "x"),
        ("a", "b", "x"),
        ("1", 1, "x"),
        (None, 0.0, "x"),
        ([1.0], [1.0, 2.0], "x"),
        ([1.0], 1.0, "x"),
        ({"a": 1}, [1], "x"),
        ({"a": [0.0, {"b": 1.0}]}, {"a": [0.0, {"b": 2.0}]}, "x a[1] b"),
        ({"a": 1}, {"b": 1}, "x a"),
        ({"expected_memory": 1}, {"expected_memory": 2}, "x expected_memory"),  # computed, not measured
        (np.array([[1.0, 2.0]]), np.array([[1.0, 2.1]]), "x[0, 1]"),
        (np.array([1.0, math.nan]), np.array([math.nan, 1.0]), "x[0]"),
        (np.zeros(3), np.zeros(4), "x"),
        (np.zeros((2, 2), np.uint8), np.full((2, 2), 2, np.uint8), "x[0, 0]"),
        (np.zeros(2, np.uint8), np.ones(2, np.uint8), "x[0]"),  # class numbers, not an image
        (np.array([1, 2]), np.array([1, 3]), "x[1]"),
        (np.array([True]), np.array([1]), "x[0]"),
    ],
)
def test_what_differs_is_placed(old, new, path):
    for one, other in [(old, new), (new, old)]:
        found = sizes({"x": one}, {"x": other})
        assert found[path] > confirm_records.TOLERANCE


def test_a_gap_quotes_both_values():
    (gap,) = confirm_records.gaps({"cell": {"values": {"error": 0.5}}}, {"cell": {"values": {"error": 0.4}}})
    assert gap == ("cell values error", "0.5", "0.4", pytest.approx(0.2))
    (gap,) = confirm_records.gaps({"cell": {"values": [1, 2]}}, {})
    assert gap == ("cell", "dict of 1", "'(absent)'", math.inf)


TOY_EXPERIMENTS = """
class Toy:
    def __init__(self, fingerprint, value): self.fingerprint, self.value = fingerprint * 64, value
EXPERIMENTS = {experiments}
"""

TOY_BUILD = """
import sys
from pathlib import Path
from tutorial_pkg.experiments import EXPERIMENTS
from tutorial_pkg.records import Record, write_record
given = dict(zip(sys.argv[1:], sys.argv[2:]))
assert given["--device"] == "cpu" and given["--data-root"].startswith("/")
name, fingerprint = given["--only"], EXPERIMENTS[given["--only"]].fingerprint
value = EXPERIMENTS[name].value
if value is None:
    sys.exit("the toy is broken")
values = {"error": value, "seconds": id(sys)}
fingerprint = "f" * 64 if name == "edited" else fingerprint
data = {"name": "digits", "checksum": "c"}
record = Record(name, given["--profile"], "cell", {"seed": 0}, data, fingerprint, values, {"seconds": 1.0})
write_record(Path(given["--results"]), record)
"""

OLD = (
    '{"same": Toy("a", 1.0), "close": Toy("a", 1.0), "other": Toy("a", 1.0), "broken": Toy("a", 1.0), '
    '"edited": Toy("a", 1.0)}'
)
NEW = (
    '{"same": Toy("a", 9.0), "other": Toy("b", 1.1), "broken": Toy("b", None), "edited": Toy("b", 1.0), '
    '"close": Toy("b", 1.0001), "added": Toy("b", 1.0)}'
)


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A repository whose package has one commit and changes since; returns a function that runs the script there."""
    root = tmp_path / "toy"
    (root / "scripts").mkdir(parents=True)
    (root / "tutorial_pkg").mkdir()
    (root / "tutorial_pkg" / "__init__.py").touch()
    for module in (files, records):
        source = Path(module.__file__)
        (root / "tutorial_pkg" / source.name).write_text(source.read_text())
    (root / "scripts" / "build_figures.py").write_text(TOY_BUILD)
    package = root / "tutorial_pkg" / "experiments.py"
    package.write_text(TOY_EXPERIMENTS.format(experiments=OLD))
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    person = ["-c", "user.name=toy", "-c", "user.email=toy@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], [*person, "commit", "-q", "-m", "old"]):
        subprocess.run(["git", "-C", str(root), *command], check=True)
    package.write_text(TOY_EXPERIMENTS.format(experiments=NEW))
    monkeypatch.setattr(confirm_records, "ROOT", root)

    def call(*arguments):
        return confirm_records.main(["HEAD", "--results", str(tmp_path / "results"), *arguments])

    call.root, call.results, call.package = root, tmp_path / "results", package
    return call


def worktrees(root):
    listed = subprocess.run(["git", "-C", str(root), "worktree", "list"], check=True, capture_output=True, text=True)
    return listed.stdout.splitlines()


def test_what_agrees_is_written_and_what_does_not_is_listed(toy, capfd):
    others = Confirmation("other", "a" * 64, "b" * 64, "quick", 1, 0.0)
    earlier = Confirmation("close", "0" * 64, "a" * 64, "quick", 1, 0.0)
    again = Confirmation("close", "a" * 64, "b" * 64, "laptop", 1, 0.0)
    write_confirmations(toy.results, [earlier, again, others])
    assert toy() == 1
    lines = capfd.readouterr().out.splitlines()
    assert "same: its code is that of HEAD" in lines
    assert "added: not at HEAD, skipped" in lines
    assert "  other cell values error: 1.0 → 1.1" in lines
    assert "close: confirmed, cells: 1, largest relative difference: 0.0001" in lines
    assert any(line.startswith("broken: NOT compared: python") for line in lines)
    assert any(line.startswith("edited: NOT compared") and "instead of aaaaaaaa" in line for line in lines)
    # The same pair is replaced, and one that now differs is confirmed no longer.
    first, renewed = read_confirmations(toy.results)
    assert first == earlier
    assert renewed == replace(again, profile="quick", largest_difference=renewed.largest_difference)
    assert renewed.largest_difference == pytest.approx(1e-4, rel=1e-2)
    assert len(worktrees(toy.root)) == 1


def test_only_what_agrees_is_a_success(toy, capfd):
    assert toy("--only", "close", "--profile", "laptop") == 0
    (written,) = read_confirmations(toy.results)
    assert (written.experiment, written.profile) == ("close", "laptop")
    assert "other" not in capfd.readouterr().out


def test_a_package_from_elsewhere_is_refused(toy, monkeypatch, capfd):
    """Without PYTHONPATH Python would take the installed package for both codes, and all would agree."""
    run = subprocess.run
    elsewhere = {"PYTHONPATH": str(toy.root)}
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda *given, env=None, cwd=None, **rest: run(
            *given, **rest, **({"env": {**env, **elsewhere}, "cwd": toy.root} if env else {})
        ),
    )
    assert toy("--only", "close") == 1
    assert "and not the package in" in capfd.readouterr().err
    assert not (toy.results / "confirmed.json").exists()
    assert len(worktrees(toy.root)) == 1


def test_a_killed_run_keeps_what_it_confirmed_and_leaves_no_worktree(toy, monkeypatch):
    def killed(name, side, args, computed=confirm_records.computed):
        if name == "other":
            raise KeyboardInterrupt
        return computed(name, side, args)

    monkeypatch.setattr(confirm_records, "computed", killed)
    with pytest.raises(KeyboardInterrupt):
        toy("--only", "close", "other")
    assert [c.experiment for c in read_confirmations(toy.results)] == ["close"]
    assert len(worktrees(toy.root)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--only", "table99"], "unknown experiment table99; known are same, other"), ([], "confirmed.json is damaged")],
)
def test_what_the_caller_got_wrong_is_named(toy, capfd, arguments, message):
    if not arguments:
        toy.results.mkdir()
        (toy.results / "confirmed.json").write_text("{")
    assert toy(*arguments) == 1
    assert message in capfd.readouterr().err


def test_an_unknown_commit_is_named(toy, capfd):
    assert confirm_records.main(["nosuchcommit", "--results", str(toy.results)]) == 1
    assert "nosuchcommit" in capfd.readouterr().err


def test_folders_are_made_absolute(monkeypatch, tmp_path):
    """The old code runs in another folder, where `data` would be another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUTORIAL_DATA", raising=False)
    args = confirm_records.parse_arguments(["HEAD", "--cache", "trained"])
    assert (args.data_root, args.cache) == (tmp_path.resolve() / "data", tmp_path.resolve() / "trained")
