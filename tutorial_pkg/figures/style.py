"""How figures look: Matplotlib settings, and SVG whose colours are those of the page."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure

# Matplotlib cannot write CSS variables, so figures are drawn in these stand-ins and rewritten afterwards.
INK, GRID, PAPER = "#0a0b0c", "#d0d1d2", "#fdfefd"
SERIES = ("#010fa0", "#b35a02", "#037a53", "#a0045f", "#05708f", "#7a5f06", "#6007b0", "#5a5a08")
_VARIABLES = {INK: "--fig-ink", GRID: "--fig-grid", PAPER: "--fig-paper"} | {
    color: f"--fig-{i + 1}" for i, color in enumerate(SERIES)
}

STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it is searchable and takes the page's font
    "svg.hashsalt": "tutorial_pkg",  # the same figure gives the same bytes
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=SERIES),
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "font.size": 10,
    "font.family": "sans-serif",
    "figure.constrained_layout.use": True,
}
"""Matplotlib settings for every figure of the site; use as `with matplotlib.rc_context(STYLE)`."""


def spaced(*, wspace: float = 0.02, hspace: float = 0.02) -> Any:
    """Return `STYLE` with wider gaps between panels, where tick labels would meet.

    Args:
        wspace: between columns, as a share of a panel's size.
        hspace: between rows, likewise.
    """
    return STYLE | {"figure.constrained_layout.wspace": wspace, "figure.constrained_layout.hspace": hspace}


def figure_svg(figure: Figure, *, title: str) -> str:
    """Return a figure as an `<svg>` element that follows the page's palette and scales to its width."""
    buffer = StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return themable_svg(buffer.getvalue(), title=title)


def themable_svg(svg: str, *, title: str = "") -> str:
    """Rewrite a Matplotlib SVG for use inside a page: colours become CSS variables, sizes relative.

    Args:
        svg: a whole SVG document, drawn with `STYLE`.
        title: a description for screen readers.
    """
    svg = svg[svg.index("<svg") :]
    for color, variable in _VARIABLES.items():
        svg = re.sub(re.escape(color), f"var({variable})", svg, flags=re.IGNORECASE)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # An inline style sheet holds for the whole page, and Matplotlib's begins with `*`.
    svg = svg.replace('<style type="text/css">*{', '<style type="text/css">.themable *{')
    svg = re.sub(r"font: ([^;\"]*?[\d.]+px) [^;\"]*", r"font: \1 var(--fig-font, sans-serif)", svg)
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--fig-font, sans-serif)", svg)
    width = re.search(r'<svg[^>]*?\bwidth="([\d.]+)pt"', svg, flags=re.DOTALL)
    natural = f' style="max-width: min(100%, {float(width[1]) * 4 / 3:.0f}px)"' if width else ""
    svg = re.sub(r'(<svg[^>]*?) width="[\d.]+pt"', r"\1", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[\d.]+pt"', r"\1", svg, count=1, flags=re.DOTALL)
    label = title.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    role = f' role="img" aria-label="{label}"' if title else ""
    svg = svg.replace("<svg", f'<svg class="themable"{role}{natural}', 1)
    # A blank line would end the HTML block in Markdown.
    return re.sub(r"\n\s*\n", "\n", svg).strip()
