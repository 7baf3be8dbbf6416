"""The fragments that pages include: figures and tables with their captions and provenance, and values for the prose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from tutorial_pkg.figures.style import figure_svg
from tutorial_pkg.figures.text import markdown_table
from tutorial_pkg.files import write_atomically
from tutorial_pkg.provenance import provenance, provenance_span
from tutorial_pkg.records import Record


class Renderer:
    """Collects what an experiment shows, and writes it below `docs/_generated/<experiment>/`.

    Args:
        root: the folder of generated fragments.
        experiment: name of the experiment whose fragments these are.
        records: what they are rendered from; their provenance goes under each figure and table.
        stale: see `provenance.provenance`.
        confirmed_in: likewise.
    """

    def __init__(
        self, root: Path, experiment: str, records: Sequence[Record], *, stale: bool = False, confirmed_in: str = ""
    ) -> None:
        self.folder = root / experiment
        self.experiment = experiment
        self.values: dict[str, str] = {}
        self.written: set[Path] = set()
        self._stated = partial(provenance, records, stale=stale, confirmed_in=confirmed_in)
        self._provenance = self._stated()

    def note_no_data(self) -> None:
        """Say under what is written from here on that no data were used; every record has to name a data set."""
        self._provenance = self._stated(uses_data=False)

    def table(
        self,
        name: str,
        header: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        caption: str = "",
        num_text_columns: int = 1,
    ) -> None:
        """Write a Markdown table with its caption and provenance as `<name>.md`; see `markdown_table`."""
        shown = markdown_table(header, rows, num_text_columns=num_text_columns)
        self._write(f"{name}.md", f"{shown}\n\n{caption_block(self._with_provenance(name, caption))}\n")

    def figure(self, name: str, figure: Figure, *, caption: str, alt: str) -> None:
        """Write a figure as inline SVG with its caption and provenance as `<name>.md`.

        Args:
            caption: what a reader should see, in Markdown.
            alt: what it shows, for those who cannot see it.
        """
        self._write(f"{name}.md", figure_block(figure, caption=self._with_provenance(name, caption), alt=alt))

    def value(self, key: str, text: str) -> None:
        """Offer a number to the prose as `{{ <experiment>.<key> }}`."""
        self.values[f"{self.experiment}.{key}"] = text

    def _with_provenance(self, name: str, caption: str) -> str:
        return f"{caption} {provenance_span(*self._provenance, name=f'{self.experiment}-{name}')}"

    def _write(self, name: str, content: str) -> None:
        path = self.folder / name
        write_if_changed(path, content)
        self.written.add(path)


def figure_block(figure: Figure, *, caption: str, alt: str) -> str:
    """Return a figure as inline SVG with its caption below, in Markdown.

    Args:
        figure: drawn with `STYLE`, so that its colours can follow the palette.
        caption: what a reader should see, in Markdown.
        alt: what it shows, for those who cannot see it.
    """
    svg = figure_svg(figure, title=alt)
    return f'<figure class="record" markdown="1">\n{svg}\n</figure>\n\n{caption_block(caption)}\n'


def caption_block(caption: str) -> str:
    """Return a caption in the site's style; it may hold Markdown."""
    return f'<p class="caption" markdown="span">{caption}</p>'


def write_if_changed(path: Path, content: str) -> None:
    """Write a text file, and its folder, unless it says the same already: what has not changed need not be rebuilt."""
    if not path.exists() or path.read_text(encoding="utf-8") != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.encode())


def write_values(root: Path, values: dict[str, str]) -> None:
    """Write the numbers that prose may quote to `values.json`."""
    write_if_changed(root / "values.json", json.dumps(values, indent=1, sort_keys=True) + "\n")
