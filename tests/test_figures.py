import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.shared import make_record
from tutorial_pkg.figures import (
    STYLE,
    Renderer,
    beside,
    figure_svg,
    image_grid,
    markdown_table,
    mean_sd,
    muted,
    number,
    percent,
    sd_below,
    shaded,
    signed,
    span,
    two_a_row,
    with_interval,
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


def test_image_grid_keeps_groups_apart():
    images = [np.zeros((4, 4))] * 4
    one, two, three, four = (
        axis.get_position()
        for axis in drawn(image_grid([images, images], group=2, column_titles=["left", "right"])).axes[:5]
        if axis.images
    )
    assert three.x0 - two.x1 > 1.2 * (two.x0 - one.x1) > 0
    assert four.x0 - three.x1 == pytest.approx(two.x0 - one.x1)


@pytest.mark.parametrize("dtype", [np.uint8, float])
def test_image_grid_takes_bytes_and_fractions(dtype):
    image = np.array([[0, 51], [204, 255]], np.uint8)
    figure = image_grid([[image if dtype is np.uint8 else image / 255]])
    assert figure.axes[0].images[0].get_array().tolist() == [[0, 0.2], [0.8, 1]]


@pytest.mark.parametrize(("number", "rows"), [(1, ["ab"]), (2, ["abcd"]), (3, ["abcd", "ef"])])
def test_groups_stand_two_a_row_and_none_is_left_out(number, rows):
    assert two_a_row(["ab", "cd", "ef"][:number]) == [list(row) for row in rows]
    triples = two_a_row([[np.zeros((4, 4))] * 3] * number)
    assert sum(len(axis.images) for axis in image_grid(triples, group=3).axes) == 3 * number


def test_column_titles_are_over_the_first_row_and_repeated():
    figure = image_grid([[np.zeros((4, 4))] * 4] * 2, group=2, column_titles=["left", "right"], titles=[["t"] * 4] * 2)
    texts = [[text.get_text() for text in axis.texts] for axis in figure.axes if axis.images]
    assert texts == [["left"], ["right"], ["left"], ["right"], [], [], [], []]
    assert figure_svg(figure, title="x").count("<image ") == 8


def drawn(figure):
    figure.draw_without_rendering()
    return figure


def test_tables_and_numbers():
    assert markdown_table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
    assert percent(0.01234) == "1.23 %"
    assert percent(float("nan")) == "–"
    assert percent(1.0, 3) == "100 %"
    assert percent(0.999999, 1) == "100.0 %", "rounded, and not all"
    assert percent(0.0) == "0 %"
    assert number(-0.125, 3) == "−0.125"
    assert number(float("nan")) == "–"
    assert signed(-0.004) == "0.00"
    assert with_interval(0.05, -0.001, 0.1) == "+0.05 [0.00,\N{NO-BREAK SPACE}+0.10]"
    assert with_interval(-0.0125, -0.02, -0.005, 3) == "−0.013 [−0.020,\N{NO-BREAK SPACE}−0.005]"
    assert span([974, 970, 972]) == "970 to 974"
    assert span([1000, 1000]) == "1,000"
    assert mean_sd([1.0]) == "1.00"
    assert mean_sd([0.01, 0.03], digits=1, scale=100) == "2.0\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}1.4"
    assert sd_below(mean_sd([0.01, 0.03], digits=1, scale=100)) == "2.0<br><small>±\N{NO-BREAK SPACE}1.4</small>"
    assert sd_below(mean_sd([1.0])) == "1.00"
    assert mean_sd([1.0, 1.001]) == "1.00", "a deviation that rounds to zero is not shown"
    assert beside("2.0", "1.9") == "2.0&nbsp;<small>(1.9)</small>"
    assert shaded("12.5", 0.125) == '<span class="shaded" style="--share: 12%">12.5</span>'
    assert muted("100") == '<span class="muted">100</span>'
    assert beside("2.0", "1.9", below=True) == "2.0<br><small>(1.9)</small>"


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
    shown = (tmp_path / "x" / "f.md").read_text()
    assert 'class="provenance"' in shown
    assert 'id="provenance-x-f"' in shown


def test_column_titles_stand_above_titles_of_two_lines():
    image = np.zeros((8, 8))
    figure = image_grid([[image] * 2], titles=[["one", "two\nlines"]], column_titles=["a", "b"])
    figure.draw_without_rendering()
    for axis in figure.axes:
        (column_title,) = axis.texts
        assert column_title.get_window_extent().y0 >= axis.title.get_window_extent().y1
