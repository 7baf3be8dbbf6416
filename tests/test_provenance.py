import re
from dataclasses import replace

from tests.shared import make_record
from tutorial_pkg.figures import Renderer
from tutorial_pkg.provenance import provenance, provenance_span


def test_provenance_says_where_numbers_come_from():
    line, details = provenance([make_record(), make_record(config={"seed": 1})], stale=True)
    assert line == (
        "profile <b>quick</b> · bundled 8×8 digits, not MNIST · 3 s · CPU · seeds 0, 1 · "
        "[stale][what-is-kept-of-a-run]: the code has changed since"
    )
    for part in ("digits (checksum cccccccc)", "CPU", "seeds 0, 1", "code ffffffff", "torch 2", "do not apply"):
        assert part in details
    line, details = provenance([replace(make_record(), profile="paper")])
    assert line == "profile <b>paper</b> · digits · 2 s · CPU · seed 0 · fresh"
    assert "do not apply" not in details


def test_provenance_is_short_where_its_details_are_long():
    def record(seed):
        where = {"seconds": 600, "device": "CPU, 2 threads", "versions": {"torch": "2", "scipy": "1"}}
        return replace(make_record(config={"seed": seed}, provenance=where), profile="laptop")

    line, details = provenance([record(seed) for seed in range(5)])
    assert line == "profile <b>laptop</b> · digits · 50 min · CPU · seeds 0–4 · fresh"
    for part in ("CPU, 2 threads", "seeds 0, 1, 2, 3, 4", "torch 2, scipy 1"):
        assert part in details


def test_provenance_of_confirmed_records_says_what_confirmed_them(tmp_path):
    line, details = provenance([make_record()], confirmed_in="laptop")
    assert line.endswith(" · [confirmed][confirmed-records]")
    assert "its laptop run gives the same numbers" in details
    assert "confirmed" not in "".join(provenance([make_record()], stale=True, confirmed_in="laptop"))
    Renderer(tmp_path, "x", [make_record()], confirmed_in="quick").table("f", ["a"], [["1"]])
    shown = (tmp_path / "x" / "f.md").read_text()
    assert "[confirmed][confirmed-records]" in shown
    assert "stale" not in shown


def test_details_of_the_provenance_need_no_script():
    """A button opens a popover; where that is unknown, its text simply follows."""
    span = provenance_span("a line", "the rest", name="x-f")
    button = re.search(r'<button type="button" popovertarget="([^"]+)">', span)
    assert button
    assert f'<span popover="auto" id="{button[1]}">the rest</span>' in span


def test_provenance_names_no_data_where_none_were_used(tmp_path):
    renderer = Renderer(tmp_path, "x", [make_record()], stale=True)
    renderer.note_no_data()
    renderer.table("f", ["a"], [["1"]])
    shown = (tmp_path / "x" / "f.md").read_text()
    assert "profile <b>quick</b> · no data · 2 s · CPU" in shown
    assert "digits" not in shown
    assert "stale" in shown
