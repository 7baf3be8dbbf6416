r"""The MkDocs hook: literate pages, records in prose, mathematics and figures.

What a page author may write, in docs/**/*.md and in the Markdown cells of docs/**/*.py:

- `{{ table1.softmax1.test_error }}`: a number of a record, from docs/_generated/values.json. An unknown key
  fails the build and names the keys there are. Code is left alone, and so is LaTeX's `{{`.
- `--8<-- "table1/table.md"`, alone on a line: a fragment of docs/_generated.
  A missing one fails the build; with ` if present` at the end of the line it is dropped.
- `$…$` and `$$…$$`: LaTeX, which becomes MathML here. An unknown command fails the build. In a table write
  `\lvert x \rvert` instead of `|x|`, and keep mathematics out of headings.
- links to pages by their source, `[…](../sections/units.py#anchor)`, and to the API by name,
  `[…][tutorial_pkg.attacks.minimum_distortion]`; MkDocs checks both.

A page that is a percent-format Python file (`# %%` and `# %% [markdown]`, no magics) is executed by
scripts/execute_pages.py, and each one offers itself as a notebook. A code cell may say `# %% alt="…"
caption="…"` for its figure and `tags=["hide-input"]` to fold its code. A cell that raises fails the build.

mkdocs-jupyter registers the .py files as pages; this hook then takes rendering back from it, so that MkDocs
itself, with its strict mode, sees Markdown.
"""

from __future__ import annotations

import re
from html import escape
from itertools import count
from pathlib import Path
from typing import Any

import nbformat
from execute_pages import executed, read_page
from mathml import math_characters, render_arithmatex, write_math_font, write_root_font
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbclient.exceptions import CellExecutionError
from page_html import first_sentences, keep_together, marked_if_wide, unique_ids
from page_markdown import SVG, Records, download_notebook, notebook_markdown

_figures: list[str] = []
_characters: set[str] = set()


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add a notebook beside each literate page, to be downloaded."""
    palette = _light_palette(Path(config.docs_dir) / "assets" / "figures.css")
    for file in [file for file in files if _is_literate(file)]:
        try:
            notebook = download_notebook(read_page(Path(str(file.abs_src_path))), _records(config), palette)
        except ValueError as error:
            raise PluginError(f"{file.src_uri}: {error}") from error
        name = file.src_uri.removesuffix(".py") + ".ipynb"
        files.append(File.generated(config, name, content=nbformat.writes(notebook)))
    return files


def on_pre_page(page: Page, **_: Any) -> Page:
    """Take rendering back from mkdocs-jupyter."""
    page.__dict__.pop("render", None)
    return page


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Return the Markdown that MkDocs renders: of the executed notebook, or of the page with its records."""
    records = _records(config)
    try:
        if _is_literate(page.file):
            notebook = executed(Path(str(page.file.abs_src_path)))
            markdown = _with_download(notebook_markdown(notebook, records), Path(page.file.src_uri).stem)
        else:
            markdown = records.resolve(markdown)
    except (ValueError, CellExecutionError) as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
    if page.parent is None:  # a page that is alone in its part of the navigation, which would list it and no other
        page.meta.setdefault("hide", ["navigation"])
    number = count(1)
    return SVG.sub(lambda match: _stash(unique_ids(match[0], f"figure{next(number)}")), markdown)


def on_page_content(html: str, page: Page, **_: Any) -> str:
    """Write mathematics as MathML, keep numbers on one line with their signs, and describe the page."""
    try:
        html = keep_together(render_arithmatex(html))
    except ValueError as error:
        raise PluginError(f"{page.file.src_uri}: {error}") from error
    _characters.update(math_characters(html))
    page.meta.setdefault("description", escape(first_sentences(html)))
    return html


def on_post_page(output: str, **_: Any) -> str:
    """Put figures back, now that neither Markdown nor the search index can take them apart."""
    return re.sub(r'<i data-figure="(\d+)"></i>', lambda m: _figures[int(m[1])], output)


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Write the fonts of the formulas, with the characters that they use."""
    assets = Path(config.site_dir) / "assets"
    write_math_font(_characters, assets / "math.woff")
    write_root_font(assets / "root.woff")


def _is_literate(file: File) -> bool:
    return file.src_uri.endswith(".py") and file.is_documentation_page()


def _records(config: MkDocsConfig) -> Records:
    return Records(Path(config.docs_dir) / "_generated")


def _with_download(markdown: str, stem: str) -> str:
    """Add, under the title, the link to the page's notebook."""
    link = f"[Download this page as a notebook]({stem}.ipynb){{ .notebook download }}"
    return re.sub(r"^(# .*)$", rf"\1\n\n{link}", markdown, count=1, flags=re.MULTILINE)


def _stash(svg: str) -> str:
    _figures.append(marked_if_wide(svg))
    return f'<i data-figure="{len(_figures) - 1}"></i>'


def _light_palette(css: Path) -> dict[str, str]:
    """Return the first definition of each figure variable: the light palette's."""
    palette: dict[str, str] = {}
    for name, colour in re.findall(r"(--fig-[\w-]+):\s*([^;]+);", css.read_text(encoding="utf-8")):
        palette.setdefault(name, colour)
    return palette
