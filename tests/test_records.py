import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.shared import make_record
from tutorial_pkg.freshness import Confirmation, confirmation_chain, read_confirmations, status, write_confirmations
from tutorial_pkg.records import RecordError, read_record, to_plain, write_record


def test_a_profile_may_be_a_link_to_another_folder(tmp_path):
    path = write_record(tmp_path, make_record())
    kept = path.parent.parent.rename(tmp_path / "elsewhere")  # another name, which the record does not know
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "quick").symlink_to(kept, target_is_directory=True)
    assert read_record(tmp_path / "results" / "quick" / "table9" / path.name).key == make_record().key


def test_round_trip(tmp_path):
    record = make_record()
    found = read_record(write_record(tmp_path, record))
    np.testing.assert_equal(found.values, record.values)
    assert found.config == record.config
    assert found.key == record.key
    np.testing.assert_array_equal(found.arrays["rms"], record.arrays["rms"])
    assert found.arrays["rms"].dtype == np.float32


def test_the_file_is_plain_json(tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    json.loads(write_record(tmp_path, make_record()).read_text(), parse_constant=refuse)


def test_others_may_read_a_record(tmp_path):
    path = write_record(tmp_path, make_record())
    assert [file.stat().st_mode & 0o777 for file in (path, path.with_suffix(".npz"))] == [0o644, 0o644]


def test_same_result_gives_the_same_bytes(tmp_path):
    first = write_record(tmp_path / "a", make_record())
    second = write_record(tmp_path / "b", make_record())
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".npz").read_bytes() == second.with_suffix(".npz").read_bytes()
    values = make_record().values
    third = write_record(tmp_path / "c", make_record(values=dict(reversed(values.items()))))
    assert third.read_bytes() == first.read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"experiment": "other"},
        {"cell": "x"},
        {"config": {"seed": 1}},
        {"fingerprint": "0"},
        {"data": {"checksum": "d"}},
    ],
)
def test_the_key_covers_what_decides_the_result(change):
    assert make_record(**change).key != make_record().key


def test_the_key_leaves_out_what_does_not():
    changed = make_record(profile="paper", provenance={"seconds": 9}, values={"error": 1.0})
    assert changed.key == make_record().key


def test_status():
    record = make_record()
    assert status(None, record.config, record.fingerprint) == "missing"
    assert status(record, record.config, record.fingerprint) == "fresh"
    assert status(record, record.config, record.fingerprint, "c" * 64) == "fresh"
    assert status(record, record.config, record.fingerprint, "d" * 64) == "stale"
    assert status(record, {**record.config, "seed": 1}, record.fingerprint) == "stale"
    assert status(record, record.config, "0" * 64) == "stale"


def confirmation(before, after, experiment="table9", profile="quick"):
    return Confirmation(experiment, before * 64, after * 64, profile, cells=2, largest_difference=1e-5)


# The record's code is f…; a, b and c came after it.
@pytest.mark.parametrize(
    ("confirmations", "expected"),
    [
        ([], "stale"),
        ([confirmation("f", "a")], "confirmed"),
        ([confirmation("a", "f")], "confirmed"),  # a change that was taken back
        ([confirmation("c", "a"), confirmation("b", "c"), confirmation("f", "b")], "confirmed"),
        ([confirmation("f", "b"), confirmation("b", "f"), confirmation("c", "a")], "stale"),  # b → c is missing
        ([confirmation("f", "a", experiment="table8")], "stale"),
    ],
)
def test_a_record_is_confirmed_by_a_chain(confirmations, expected):
    record = make_record()
    assert status(record, record.config, "a" * 64, confirmations=confirmations) == expected


def test_a_confirmation_speaks_of_the_code_only():
    record, known = make_record(), [confirmation("f", "a")]
    assert status(None, record.config, "a" * 64, confirmations=known) == "missing"
    assert status(record, record.config, "f" * 64, confirmations=known) == "fresh"
    assert status(record, {**record.config, "seed": 1}, "a" * 64, confirmations=known) == "stale"
    assert status(record, {**record.config, "seed": 1}, "f" * 64, confirmations=known) == "stale"
    assert status(record, record.config, "a" * 64, "d" * 64, known) == "stale"
    assert status(record, record.config, "a" * 64, "c" * 64, known) == "confirmed"


def test_the_shortest_chain_is_taken():
    detour = [confirmation("f", "b"), confirmation("b", "a")]
    direct = confirmation("f", "a", profile="laptop")
    assert confirmation_chain([*detour, direct], "table9", "f" * 64, "a" * 64) == [direct]
    assert confirmation_chain(detour, "table9", "f" * 64, "a" * 64) == detour
    assert confirmation_chain(detour, "table9", "f" * 64, "f" * 64) == []
    longer = [confirmation("f", "c"), confirmation("c", "d"), confirmation("d", "a")]
    for known in ([*detour, *longer], [*longer, *detour], [detour[0], *longer, detour[1]]):
        assert confirmation_chain(known, "table9", "f" * 64, "a" * 64) == detour


def test_confirmations_round_trip(tmp_path):
    assert read_confirmations(tmp_path / "nowhere") == []
    known = [confirmation("f", "a"), confirmation("a", "b", profile="laptop")]
    write_confirmations(tmp_path / "results", known)
    assert read_confirmations(tmp_path / "results") == known
    (first, _) = json.loads((tmp_path / "results" / "confirmed.json").read_text())
    assert first == {
        "experiment": "table9",
        "from": "f" * 64,
        "to": "a" * 64,
        "profile": "quick",
        "cells": 2,
        "largest_difference": 1e-5,
    }


@pytest.mark.parametrize(
    "content", ["", "[{", "{}", "3", '["f"]', '[{"from": "f"}]', '[{"experiment": "x", "hash": 1}]']
)
def test_damaged_confirmations_are_named(tmp_path, content):
    (tmp_path / "confirmed.json").write_text(content)
    with pytest.raises(RecordError, match=r"confirmed\.json is damaged.*Restore it with git"):
        read_confirmations(tmp_path)


@pytest.mark.parametrize("cut", [0, 1, 50, 200])
def test_a_truncated_record_is_named(tmp_path, cut):
    path = write_record(tmp_path, make_record())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(RecordError, match=r"model-seed0\.json is damaged.*Delete"):
        read_record(path)


def test_an_edited_record_is_refused(tmp_path):
    path = write_record(tmp_path, make_record())
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(RecordError, match="does not match its own key"):
        read_record(path)


def test_a_record_in_the_wrong_place_is_refused(tmp_path):
    path = write_record(tmp_path, make_record(arrays={}))
    with pytest.raises(RecordError, match="edited or moved"):
        read_record(path.rename(path.with_name("other.json")))


def test_arrays_must_be_the_ones_written(tmp_path):
    path = write_record(tmp_path, make_record())
    arrays = path.with_suffix(".npz")
    arrays.write_bytes(arrays.read_bytes()[:-1])
    with pytest.raises(RecordError, match="are not the ones"):
        read_record(path)
    arrays.unlink()
    with pytest.raises(RecordError, match="are missing"):
        read_record(path)


def test_numbers_of_numpy_become_plain_ones():
    plain = to_plain({"mean": (np.float32(0.5), np.int64(3)), "holds": np.True_})
    assert plain == {"mean": [0.5, 3], "holds": True}
    assert json.dumps(plain) == '{"mean": [0.5, 3], "holds": true}'


@pytest.mark.parametrize(("step", "call"), [("fsync", 1), ("fsync", 2), ("replace", 1), ("replace", 3)])
def test_a_failed_write_leaves_the_old_record(tmp_path, monkeypatch, step, call):
    """A full disk shows up in fsync, of the arrays or of the numbers: the old record must survive, both parts of it."""
    path = write_record(tmp_path, make_record())
    before = path.read_bytes()
    works, calls = getattr(os, step), itertools.count(1)

    def fail(*args):
        if next(calls) < call:
            return works(*args)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_record(tmp_path, make_record(values={"error": 0.5}, arrays={"x": np.zeros(7)}))
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["model-seed0.json", "model-seed0.npz"]
    read_record(path)


def test_paths_become_text_and_a_path_may_be_text(tmp_path, monkeypatch):
    assert to_plain({"root": Path("a")}) == {"root": "a"}
    write_record(tmp_path, make_record())
    (path,) = tmp_path.rglob("*.json")
    key = read_record(path).key
    assert read_record(str(path)).key == key
    monkeypatch.chdir(path.parent.parent)
    assert read_record(Path(*path.parts[-2:])).key == key
