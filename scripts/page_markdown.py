"""What a page of the site is made of: an executed notebook as Markdown, and a page's text with its records.

These functions know nothing of MkDocs, so that they can write plain Markdown files for another generator.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from html import escape
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from page_html import figure_html

PROSE_TOKENS = re.compile(
    r"""
      (?P<fence>^[ \t]*(?P<tick>`{3,}|~{3,})[^\n]*\n.*?^[ \t]*(?P=tick)[ \t]*$)      # a fenced block
    | ^(?P<indent>[ \t]*)--8<--[ ]"(?P<include>[^"\n]+)"(?P<optional>[ ]if[ ]present)?[ \t]*$
    | (?P<span>(?P<quote>`+)(?!`).+?(?<!`)(?P=quote)(?!`))                           # code in a sentence
    | \{\{[ ]*(?P<key>[\w+-]+(?:\.[\w+-]+)+)[ ]*\}\}
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)
ADDRESS = re.compile(r"^\[?<.+ at 0x[0-9a-f]+>")
SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)
VARIABLE = re.compile(r"var\((--[\w-]+)(?:, ?([^)]*))?\)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Records:
    """The rendered records: fragments of Markdown and SVG, and values that a sentence quotes.

    Args:
        root: the folder that `scripts/build_figures.py` renders into, docs/_generated.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        path = root / "values.json"
        self.values: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    def resolve(self, text: str) -> str:
        """Return Markdown with its includes and its values put in; code is left as it is.

        Args:
            text: Markdown in which a line `--8<-- "table1/table.md"` includes a fragment, the same line
                with ` if present` after it is dropped where there is none, and `{{ table1.softmax1.error }}`
                is a value.

        Raises:
            ValueError: a fragment or a value does not exist.
        """

        def replace(match: re.Match[str]) -> str:
            if match["key"]:
                return self.value(match["key"])
            if match["include"]:
                fragment = self.fragment(match["include"], bool(match["optional"]))
                return "\n".join(match["indent"] + line if line else "" for line in fragment.splitlines())
            return match[0]

        return PROSE_TOKENS.sub(replace, text)

    def value(self, key: str) -> str:
        """Return the formatted value of a record."""
        if key not in self.values:
            stem = key.partition(".")[0]
            known = [name for name in self.values if name.startswith(stem)] or list(self.values)
            raise ValueError(
                f"no record gives {{{{ {key} }}}}; known: {', '.join(sorted(known)[:12]) or 'none'}. "
                "Run scripts/build_figures.py, or correct the key."
            )
        return self.values[key]

    def fragment(self, name: str, optional: bool = False) -> str:
        """Return a fragment of Markdown, with its own includes and values put in."""
        path = self.root / name
        if not path.is_file():
            if optional:
                return ""
            raise ValueError(f'no fragment "{name}" in {self.root.name}; run scripts/build_figures.py')
        return self.resolve(path.read_text(encoding="utf-8"))


def notebook_markdown(notebook: NotebookNode, records: Records) -> str:
    """Return an executed notebook as Markdown: prose, code, and output without prompts.

    A code cell's metadata may say `alt="…"` and `caption="…"` for its figure, and `tags=["hide-input"]` to
    fold its code.

    Raises:
        ValueError: an output is neither SVG nor text, or differs from run to run, since it shows an object's address.
    """
    parts: list[str] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(records.resolve(cell.source))
        elif cell.cell_type == "code" and cell.source.strip():
            parts.append(_code(cell))
            parts += [text for output in _joined(cell.outputs) if (text := _output(output, cell))]
    return "\n\n".join(parts) + "\n"


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join what a cell printed in a row: a slow machine delivers it in pieces, and a page must not depend on that."""
    joined: list[NotebookNode] = []
    for output in outputs:
        if output.output_type == "stream" and output.name != "stdout":
            continue
        if joined and output.output_type == joined[-1].output_type == "stream":
            joined[-1] = NotebookNode(joined[-1] | {"text": joined[-1].text + output.text})
        else:
            joined.append(output)
    return joined


def _code(cell: NotebookNode) -> str:
    ticks = max([2, *(len(run) for run in re.findall(r"`+", cell.source))]) + 1
    block = f"{'`' * ticks}python\n{cell.source}\n{'`' * ticks}"
    if "hide-input" not in cell.metadata.get("tags", []):
        return block
    indented = "\n".join(f"    {line}" if line else "" for line in block.splitlines())
    return f'??? abstract "Code"\n\n{indented}'


def _output(output: NotebookNode, cell: NotebookNode) -> str:
    if output.output_type == "stream":
        return _text(output.text)
    data = output.get("data", {})
    alt, caption = cell.metadata.get("alt", ""), cell.metadata.get("caption", "")
    if "image/svg+xml" in data:
        return figure_html(data["image/svg+xml"], alt, caption)
    if others := sorted(set(data) - {"text/plain"}):
        raise ValueError(f"a cell shows {', '.join(others)}; a page can show SVG and text: draw it, or print it")
    text = data.get("text/plain", "")
    if ADDRESS.match(text):
        raise ValueError(f"a cell shows {text!r}, which differs from run to run; end its last line with ;")
    return _text(text)


def _text(text: str) -> str:
    text = COLOUR.sub("", text).strip("\n")
    return f'<pre class="output" data-search-exclude><code>{escape(text, quote=False)}</code></pre>' if text else ""


def download_notebook(notebook: NotebookNode, records: Records, palette: dict[str, str]) -> NotebookNode:
    """Return a page as a notebook to take away: not executed, with its records written into it.

    Args:
        notebook: the page, executed or not.
        records: where its includes and values come from.
        palette: CSS variable → colour, for figures, which no style sheet reaches there.
    """

    def image(match: re.Match[str]) -> str:
        svg = VARIABLE.sub(lambda m: palette.get(m[1], m[2] or "#555"), match[0])
        if "xmlns=" not in svg:
            svg = svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
        label = re.search(r'aria-label="([^"]*)"', svg)
        data = b64encode(svg.encode()).decode()
        return f'<img alt="{label[1] if label else ""}" src="data:image/svg+xml;base64,{data}">'

    copy = nbformat.from_dict(notebook)
    intro = (
        "> Run this notebook with the library beside it: in a clone of the repository, "
        "`pip install . jupyterlab`. It needs no network: its data come with scikit-learn."
    )
    copy.cells = [nbformat.v4.new_markdown_cell(intro, id="how-to-run"), *copy.cells]
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count, cell.metadata = [], None, NotebookNode()
        else:
            cell.source = _portable(SVG.sub(image, records.resolve(cell.source)))
    return copy


def _portable(text: str) -> str:
    """Write admonitions as quotations, and drop the links that lead nowhere outside the site."""
    lines, inside = [], False
    for line in text.splitlines():
        opened = re.match(r'^(?:!!!|\?\?\?\+?) +(\w+)(?: +"([^"]*)")?', line)
        if opened:
            lines.append(f"> **{opened[2] or opened[1].capitalize()}**  ")
        elif inside and line.startswith("    "):
            lines.append(f"> {line[4:]}")
        elif inside and not line.strip():
            lines.append(">")
        else:
            lines.append(line)
        inside = bool(opened) or (inside and (line.startswith("    ") or not line.strip()))
    text = re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:|#)[^)\n]*\)(\{[^}]*\})?", r"\1", "\n".join(lines))
    return re.sub(r"\[([^\]]+)\]\[[\w.-]*\]", r"\1", text)
