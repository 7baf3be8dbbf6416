"""From records to what the site shows: SVG figures that follow the palette, image grids, Markdown tables."""

from tutorial_pkg.figures.fragments import Renderer, caption_block, figure_block, write_if_changed, write_values
from tutorial_pkg.figures.images import image_grid, two_a_row
from tutorial_pkg.figures.style import GRID, INK, PAPER, SERIES, STYLE, figure_svg, spaced, themable_svg
from tutorial_pkg.figures.text import (
    beside,
    markdown_table,
    mean_sd,
    muted,
    number,
    percent,
    sd_below,
    shaded,
    signed,
    span,
    with_interval,
)

__all__ = [
    "Renderer",
    "figure_block",
    "caption_block",
    "write_if_changed",
    "write_values",
    "INK",
    "GRID",
    "PAPER",
    "SERIES",
    "STYLE",
    "spaced",
    "figure_svg",
    "themable_svg",
    "image_grid",
    "two_a_row",
    "markdown_table",
    "percent",
    "number",
    "signed",
    "with_interval",
    "span",
    "mean_sd",
    "beside",
    "shaded",
    "muted",
    "sd_below",
]
