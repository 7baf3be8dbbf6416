import re
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.test_records import make_record
from tutorial_pkg.figures import (
    STYLE,
    Renderer,
    beside,
    figure_svg,
    image_grid,
    markdown_table,
    mean_sd,
    percent,
    provenance_line,
    sd_below,
)


def plot():
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(3, 2))
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], label="a line")
        axis.legend()
    return figure


def test_ink_follows_the_palette():
    svg = figure_svg(plot(), title="A rising line")
    assert "var(--fig-ink)" in svg
    assert "var(--fig-1)" in svg
    colours = set(re.findall(r"#[0-9a-f]{6}\b", svg))
    assert not colours, f"these colours do not follow the palette: {colours}"


def test_svg_is_well_formed_labelled_and_scales():
    svg = figure_svg(plot(), title='Less < more & "so"')
    root = ElementTree.fromstring(svg)
    assert root.attrib["aria-label"] == 'Less < more & "so"'
    assert root.attrib["role"] == "img"
    assert "width" not in root.attrib
    assert "viewBox" in root.attrib


def test_svg_survives_markdown_and_leaves_the_page_alone():
    svg = figure_svg(plot(), title="x")
    assert "\n\n" not in svg
    assert "<metadata" not in svg
    assert not re.search(r"<style[^>]*>\s*\*", svg)


def test_same_figure_same_bytes():
    assert figure_svg(plot(), title="x") == figure_svg(plot(), title="x")


def test_image_grid_keeps_the_pixels():
    """Images are embedded as they are, not resampled to the figure's resolution."""
    images = [np.random.default_rng(i).random((28, 28)) for i in range(3)]
    svg = figure_svg(image_grid([images], row_labels=["row"], titles=[["a", "b", "c"]]), title="x")
    assert svg.count("<image ") == 3
    assert set(re.findall(r'<image [^>]*?width="([\d.]+)"', svg)) == {"28"}


def test_tables_and_numbers():
    assert markdown_table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    assert percent(0.01234) == "1.23 %"
    assert percent(float("nan")) == "–"
    assert mean_sd([1.0]) == "1.00"
    assert mean_sd([0.01, 0.03], digits=1, scale=100) == "2.0\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}1.4"
    assert sd_below(mean_sd([0.01, 0.03], digits=1, scale=100)) == "2.0<br><small>±\N{NO-BREAK SPACE}1.4</small>"
    assert sd_below(mean_sd([1.0])) == "1.00"
    assert mean_sd([1.0, 1.001]) == "1.00\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.00"
    assert mean_sd([1.0, 1.001], show_zero=False) == "1.00"
    assert beside("2.0", "1.9") == "2.0&nbsp;<small>(1.9)</small>"
    assert beside("2.0", "1.9", below=True) == "2.0<br><small>(1.9)</small>"


def test_provenance_says_where_numbers_come_from():
    line = provenance_line([make_record(), make_record(config={"seed": 1})], stale=True)
    for part in (
        "quick",
        "digits (cccccccc)",
        "CPU",
        "3 s",
        "seeds 0, 1",
        "code ffffffff",
        "torch 2",
        "stale",
    ):
        assert part in line
    assert "not MNIST" in line
    assert "not MNIST" not in provenance_line([replace(make_record(), profile="paper")])


def test_provenance_of_confirmed_records_ends_with_what_confirmed_them(tmp_path):
    line = provenance_line([make_record()], confirmed_in="laptop")
    assert (
        line
        == provenance_line([make_record()])
        + " · code changed since, [same numbers in its laptop run][confirmed-records]"
    )
    assert "same numbers" not in provenance_line([make_record()], stale=True, confirmed_in="laptop")
    Renderer(tmp_path, "x", [make_record()], confirmed_in="quick").table("f", ["a"], [["1"]])
    shown = (tmp_path / "x" / "f.md").read_text()
    assert "code changed since, [same numbers in its quick run][confirmed-records]</span>" in shown
    assert "stale" not in shown


def test_provenance_names_no_data_where_none_were_used(tmp_path):
    renderer = Renderer(tmp_path, "x", [make_record()], stale=True)
    renderer.note_no_data()
    renderer.table("f", ["a"], [["1"]])
    shown = (tmp_path / "x" / "f.md").read_text()
    assert "profile <b>quick</b> · no data · CPU" in shown
    assert "digits" not in shown
    assert "stale" in shown


def test_renderer_writes_once(tmp_path):
    renderer = Renderer(tmp_path, "table9", [make_record()])
    renderer.table("one", ["a"], [["1"]], caption="A table.")
    path = tmp_path / "table9" / "one.md"
    written = path.stat().st_mtime_ns
    assert "A table." in path.read_text()
    assert "profile <b>quick</b>" in path.read_text()
    Renderer(tmp_path, "table9", [make_record()]).table("one", ["a"], [["1"]], caption="A table.")
    assert path.stat().st_mtime_ns == written
    renderer.value("error", "25 %")
    assert renderer.values == {"table9.error": "25 %"}


@pytest.mark.parametrize("kind", ["table", "figure"])
def test_every_fragment_has_its_provenance(tmp_path, kind):
    renderer = Renderer(tmp_path, "x", [make_record()])
    if kind == "table":
        renderer.table("f", ["a"], [["1"]])
    else:
        renderer.figure("f", plot(), caption="c", alt="a")
    assert 'class="provenance"' in (tmp_path / "x" / "f.md").read_text()
