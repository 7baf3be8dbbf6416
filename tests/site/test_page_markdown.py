"""From an executed notebook to Markdown, and from records to prose."""

import json
from pathlib import Path

import nbformat
import pytest
from nbformat import v4
from page_html import figure_html, keep_together, marked_if_wide, unique_ids
from page_markdown import Records, download_notebook, notebook_markdown

from tutorial_pkg.figures import themable_svg

SVG = '<?xml version="1.0"?>\n<svg width="72pt" height="36pt" viewBox="0 0 72 36">\n\n<path id="a"/></svg>'


@pytest.fixture
def records(tmp_path: Path) -> Records:
    (tmp_path / "table1").mkdir()
    (tmp_path / "table1" / "table.md").write_text("| a |\n| - |\n| {{ table1.softmax1.test_error }} |\n")
    (tmp_path / "table1" / "plot.md").write_text(f'<figure markdown="1">\n{themable_svg(SVG)}\n</figure>\n')
    values = {"table1.softmax1.test_error": "7.4 %", "table1.N100-100-10.test_error": "1.6 %"}
    (tmp_path / "values.json").write_text(json.dumps(values))
    return Records(tmp_path)


def code(source: str, *outputs: nbformat.NotebookNode, **metadata: object) -> nbformat.NotebookNode:
    return v4.new_code_cell(source, outputs=list(outputs), metadata=metadata)


def page(*cells: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return v4.new_notebook(cells=list(cells))


def test_values_are_put_into_prose(records: Records) -> None:
    text = "{{ table1.softmax1.test_error }} and {{table1.N100-100-10.test_error}}"
    assert records.resolve(text) == "7.4 % and 1.6 %"


@pytest.mark.parametrize(
    "text",
    [
        "`{{ no.key }}`",
        "``{{ no.key }} ` ``",
        "```python\n{{ no.key }}\n```",
        "    ~~~\n    {{ no.key }}\n    ~~~",
        r"$\frac{{a}}{{b}}$",
        r"${{\rm x}}_{{i}}$",
        "{{ word }}",
    ],
)
def test_code_and_latex_are_left_alone(records: Records, text: str) -> None:
    assert records.resolve(text) == text


def test_unknown_value_names_the_key_and_the_known_ones(records: Records) -> None:
    with pytest.raises(ValueError, match=r"table1\.softmax9\.test_error.*known: table1\.N100-100-10"):
        records.resolve("{{ table1.softmax9.test_error }}")


def test_no_records_at_all_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"known: none\. Run scripts/build_figures\.py"):
        Records(tmp_path).resolve("{{ table1.softmax1.test_error }}")


def test_fragment_keeps_its_indentation_and_gets_its_values(records: Records) -> None:
    text = records.resolve('!!! note\n    --8<-- "table1/table.md"\n')
    assert text == "!!! note\n    | a |\n    | - |\n    | 7.4 % |\n"


def test_missing_fragment_fails_unless_optional(records: Records) -> None:
    with pytest.raises(ValueError, match=r'no fragment "table1/nothing\.md"'):
        records.resolve('--8<-- "table1/nothing.md"')
    assert records.resolve('--8<-- "table1/nothing.md" if present') == ""


def test_a_figure_is_one_line_that_scales() -> None:
    figure = figure_html(SVG)
    assert figure.startswith('<figure class="figure"><svg')
    assert "\n" not in figure
    assert 'width="72pt"' not in figure


def test_cells_become_prose_code_and_output(records: Records) -> None:
    notebook = page(
        v4.new_markdown_cell("# Title\n\n{{ table1.softmax1.test_error }}"),
        code("print('<a>')", v4.new_output("stream", name="stdout", text="\x1b[31m<a>\x1b[0m\n")),
        code("x", v4.new_output("stream", name="stderr", text="progress")),
        code("1", v4.new_output("execute_result", data={"text/plain": "1"})),
    )
    text = notebook_markdown(notebook, records)
    assert "# Title\n\n7.4 %\n\n```python\nprint('<a>')\n```" in text
    assert "<code>&lt;a&gt;</code></pre>" in text
    assert "progress" not in text
    assert "In [" not in text


def test_what_a_cell_prints_in_pieces_is_one_output(records: Records) -> None:
    pieces = [("stdout", "a\n"), ("stderr", "progress"), ("stdout", "b\n"), ("stdout", "c\n")]
    cell = code("x", *(v4.new_output("stream", name=name, text=text) for name, text in pieces))
    text = notebook_markdown(page(cell), records)
    assert text.count("<pre") == 1
    assert "<code>a\nb\nc</code>" in text


def test_values_in_output_are_not_touched(records: Records) -> None:
    cell = code("print(t)", v4.new_output("stream", name="stdout", text="{{ no.key }}"))
    assert "{{ no.key }}" in notebook_markdown(page(cell), records)


def test_fence_is_longer_than_those_inside(records: Records) -> None:
    assert "````python\n" in notebook_markdown(page(code('s = """\n```\n"""')), records)


def test_hidden_input_is_folded(records: Records) -> None:
    text = notebook_markdown(page(code("x = 1", tags=["hide-input"])), records)
    assert text.startswith('??? abstract "Code"\n\n    ```python\n    x = 1\n    ```')


def test_figure_has_its_description_and_caption(records: Records) -> None:
    output = v4.new_output("display_data", data={"image/svg+xml": SVG, "text/plain": "<Figure>"})
    text = notebook_markdown(page(code("plot()", output, alt="A line", caption="Up & up.")), records)
    assert 'aria-label="A line"' in text
    assert "<figcaption>Up &amp; up.</figcaption>" in text
    assert "<Figure>" not in text


def test_two_figures_share_no_id() -> None:
    svg = '<svg id="figure_1"><clipPath id="p1"/><g clip-path="url(#p1)"><use href="#p1"/></g><image id="i"/></svg>'
    assert unique_ids(svg, "f") == (
        '<svg><clipPath id="f-p1"/><g clip-path="url(#f-p1)"><use href="#f-p1"/></g><image/></svg>'
    )


@pytest.mark.parametrize(
    ("html", "kept"),
    [
        ("<td>1.92 %</td>", "<td>1.92~%</td>"),
        ("95\n%", "95~%"),
        ("<td>15 min</td>", "<td>15~min</td>"),
        ("2.6 h; 5 s, 237 MB", "2.6~h; 5~s, 237~MB"),
        ("(δ = +0.25)", "(δ~=~+0.25)"),
        ("γ = 0.01,", "γ~=~0.01,"),
        ("|δ| &lt; 0.147", "|δ|~&lt;~0.147"),
        ("<math><mi>n</mi></math> = 784", "<math><mi>n</mi></math>~=~784"),
        ("[+0.02, +0.05]", "[+0.02,~+0.05]"),
        ("[1.2 %, 3 %]", "[1.2~%,~3~%]"),
        ("the N100-100-10's", 'the <span class="whole">N100-100-10</span>\'s'),
    ],
)
def test_no_line_ends_inside_a_number(html: str, kept: str) -> None:
    assert keep_together(html) == kept.replace("~", "\u00a0")


@pytest.mark.parametrize(
    "html",
    [
        "<code>1.92 %</code>",
        '<pre class="output"><code>δ = 0.2\nN100-100-10</code></pre>',
        "<math><mn>2</mn> % <mi>x</mi> = 2</math>",
        '<img alt="N100-100-10, 1.92 %, δ = 2">',
        "distortion = 3, 2 of 10, [a, b], 2 seeds, 3 hidden",
    ],
)
def test_everything_else_is_left_as_it_is(html: str) -> None:
    assert keep_together(html) == html


def test_only_wide_figures_are_marked() -> None:
    assert 'class="themable wide"' in marked_if_wide('<svg class="themable" role="img" viewBox="0 0 460 200">')
    assert "wide" not in marked_if_wide('<svg class="themable" viewBox="0 0 280 460">')


@pytest.mark.parametrize(
    ("style", "shrinks"),
    [
        ("font-size: 12px; font-family: 'DejaVu Sans', sans-serif", True),
        ("font: 700 12px var(--fig-font)", True),
        ("font-size: 9px", False),
        ("font: 9px sans-serif", False),
    ],
)
def test_images_shrink_as_long_as_their_words_can_be_read(style: str, shrinks: bool) -> None:
    text = f'<text style="font-size: 14px">a</text><text style="{style}">b</text>'
    svg = f'<svg class="themable" viewBox="0 0 500 200"><image/>{text}</svg>'
    assert ("wide" not in marked_if_wide(svg)) == shrinks
    assert "wide" in marked_if_wide(svg.replace("<image/>", "<path/>"))
    assert "wide" not in marked_if_wide(svg.replace(text, ""))


def test_data_in_a_figure_has_no_spaces() -> None:
    assert 'href="data:image/png;base64,iVBOR"' in figure_html(
        '<svg><image href="data:image/png;base64,\niVB\nOR"/></svg>'
    )


def test_address_of_an_object_is_refused(records: Records) -> None:
    cell = code("ax.plot()", v4.new_output("execute_result", data={"text/plain": "[<Line2D at 0x7f00>]"}))
    with pytest.raises(ValueError, match="differs from run to run"):
        notebook_markdown(page(cell), records)


@pytest.mark.parametrize("kind", ["image/png", "text/html", "text/markdown"])
def test_what_a_page_cannot_show_is_refused(records: Records, kind: str) -> None:
    cell = code("x", v4.new_output("execute_result", data={kind: "x", "text/plain": "x"}))
    with pytest.raises(ValueError, match=f"a cell shows {kind}; a page can show SVG and text"):
        notebook_markdown(page(cell), records)


def test_download_is_clean_and_stands_alone(records: Records) -> None:
    prose = (
        '!!! note "Mind"\n    This.\n\nSee [units](units.py#top), [the paper](https://arxiv.org/abs/1312.6199) '
        'and [the attack][tutorial_pkg.attacks], [confirmed][confirmed-records].\n\n--8<-- "table1/plot.md"\n'
    )
    output = v4.new_output("stream", name="stdout", text="1")
    notebook = download_notebook(page(v4.new_markdown_cell(prose), code("print(1)", output)), records, {})
    nbformat.validate(notebook)
    text = notebook.cells[1].source
    assert "> **Mind**" in text
    assert "> This." in text
    assert "See units, [the paper](https://arxiv.org/abs/1312.6199) and the attack, confirmed." in text
    assert "data:image/svg+xml;base64," in text
    assert notebook.cells[2].outputs == []
