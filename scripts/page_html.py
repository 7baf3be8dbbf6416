"""The HTML of a page: what a line is not broken in, figures with captions, a description, ids that do not meet."""

from __future__ import annotations

import re
from html import escape, unescape
from math import inf

from tutorial_pkg.figures import themable_svg

MARKUP = re.compile(r"(<(code|pre|math|svg|script|style)\b.*?</\2>|<[^>]*>)", re.DOTALL)
PARAGRAPH = re.compile(r"<p\b[^>]*>(?!<a class=\"notebook)(.*?)</p>", re.DOTALL)
TAG = re.compile(r"<[^>]*>")
NAME = re.compile(r"\b[A-Z]+\d+(?:-\d+)+(?:\(\S+?\))?")  # a model's: N100-100-10, FC10(1e-4)
FONT_SIZE = re.compile(r"font(?:-size)?: (?:[^;\"]* )?([\d.]+)px")
WIDE = 410  # points
PHONE = 358  # pixels, the width of a column there
LEGIBLE = 7.4  # pixels, of a word in a picture
NUMBER = r"[+−-]?\d(?:[\d.,]*\d)?"
TIES = [  # what a line must not be broken in: a number and its unit, an interval, a short equation
    (re.compile(r"(?<=\d)\s(?=(?:%|s|min|h|MB|GB|GiB)(?![\w-]))"), "\u00a0"),
    (re.compile(rf"(\[{NUMBER}(?:\s%)?,)\s(?={NUMBER}(?:\s%)?\])"), "\\1\u00a0"),
    (re.compile(rf"(?<=\d)\s→\s(?={NUMBER})"), "\u00a0→\u00a0"),
    (re.compile(r"((?:^|(?<=[\s(\[]))[^\s&;(\[]{0,4})\s(=|≈|≤|≥|&lt;|&gt;)\s(?=[+−-]?\d)"), "\\1\u00a0\\2\u00a0"),
]


def first_sentences(html: str, enough: int = 60) -> str:
    """Return how a page begins, as plain text: so many sentences of its first paragraph that they say something.

    Args:
        html: the page's content.
        enough: characters.

    Example:
        >>> first_sentences('<p><a class="notebook" href="a">Download</a></p><p>One &amp; <b>two</b>. Three.</p>')
        'One & two. Three.'
    """
    paragraphs = [re.sub(r"\s+", " ", unescape(TAG.sub("", text))).strip() for text in PARAGRAPH.findall(html)]
    begin = ""
    for sentence in re.split(r"(?<=[.!?:]) (?=[A-Z])", next(filter(None, paragraphs), "")):
        if len(begin) >= enough:
            break
        begin = f"{begin} {sentence}".strip()
    return begin


def keep_together(html: str) -> str:
    """Return HTML in which no line ends inside a number with its unit, an interval, a change, a short equation or a
    model's name.

    Code and mathematics are left as they are.

    Example:
        >>> keep_together("<p>7.4 % (δ = 0.2), 3 → 2 <code>7.4 %</code></p>")
        '<p>7.4\\xa0% (δ\\xa0=\\xa00.2), 3\\xa0→\\xa02 <code>7.4 %</code></p>'
    """
    pieces = MARKUP.split(html)
    for i in range(0, len(pieces), 3):
        for pattern, tied in TIES:
            pieces[i] = pattern.sub(tied, pieces[i])
        pieces[i] = NAME.sub(r'<span class="whole">\g<0></span>', pieces[i])
    return "".join(piece for i, piece in enumerate(pieces) if i % 3 != 2)


def figure_html(svg: str, alt: str = "", caption: str = "") -> str:
    """Return an SVG as one line of HTML: a figure with its description for those who cannot see it."""
    svg = themable_svg(svg, title=alt) if alt or "themable" not in svg else svg[svg.index("<svg") :]
    svg = re.sub(r'"data:[^"]*"', lambda m: re.sub(r"\s+", "", m[0]), svg)
    return _figure(" ".join(svg.split()), escape(caption))


def _figure(content: str, caption: str) -> str:
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure class="figure">{content}{below}</figure>'


def marked_if_wide(svg: str) -> str:
    """Return an SVG, with the class `wide` if it should keep its size on a phone and scroll.

    A plot does if it would have to be shrunk much. Images are to be seen together: they do only if their words
    could not be read any more.

    Example:
        >>> marked_if_wide('<svg class="themable" viewBox="0 0 460.8 259.2">')
        '<svg class="themable wide" viewBox="0 0 460.8 259.2">'
    """
    box = re.match(r'<svg[^>]*viewBox="0 0 ([\d.]+)', svg)
    if not box or float(box[1]) < WIDE:
        return svg
    smallest = min(map(float, FONT_SIZE.findall(svg)), default=inf)
    if "<image" in svg and smallest * PHONE / float(box[1]) >= LEGIBLE:
        return svg
    return svg.replace('class="themable"', 'class="themable wide"', 1)


def unique_ids(svg: str, prefix: str) -> str:
    """Return an SVG whose ids begin with `prefix`, so that two figures on a page do not share any.

    Only those that it refers to itself are kept: Matplotlib gives one to everything, and the same one to equal images.
    """
    referred = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    svg = re.sub(r'\sid="([^"]*)"', lambda m: f' id="{prefix}-{m[1]}"' if m[1] in referred else "", svg)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", svg)
