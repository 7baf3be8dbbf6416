"""The built site: complete, linked, self-contained, and readable in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from execute_pages import page_sources, read_page

RESOURCES = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("use", "href")}


class Page(HTMLParser):
    """What a page refers to, what it can be referred to by, what it says of itself, and its text outside code."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.resources: set[str] = set()
        self.ids: set[str] = set()
        self.repeated_ids: set[str] = set()
        self.levels: list[int] = []
        self.description = ""
        self.prose = ""
        self._skipping: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if values.get("id") in self.ids:
            self.repeated_ids.add(values["id"])
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag == "meta" and values.get("name") == "description":
            self.description = values["content"]
        if tag == "a" and "href" in values:
            self.links.add(values["href"])
        for element, name in RESOURCES:
            if tag == element and name in values and values.get("rel") not in {"canonical", "prev", "next"}:
                self.resources.add(values[name])
        if tag in {"code", "pre", "script", "style"}:
            self._skipping.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._skipping and self._skipping[-1] == tag:
            self._skipping.pop()

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.prose += data


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def nav_sources(nav: Any) -> Iterator[str]:
    """Yield the source of every page in mkdocs.yml's nav."""
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav.values() if isinstance(nav, dict) else nav:
            yield from nav_sources(item)


def test_every_page_of_the_nav_is_built(site: Path, repository: Path) -> None:
    text = (repository / "mkdocs.yml").read_text(encoding="utf-8").partition("\ntheme:")[0]
    sources = list(nav_sources(yaml.safe_load(text)["nav"]))
    assert "index.md" in sources
    for source in sources:
        assert (site / source).with_suffix(".html").is_file(), source


def test_every_literate_page_offers_its_notebook(site: Path, repository: Path, pages: dict[Path, Page]) -> None:
    for source in page_sources():
        place = site / source.relative_to(repository / "docs")
        assert place.with_suffix(".ipynb").name in pages[place.with_suffix(".html")].links
        notebook = nbformat.read(place.with_suffix(".ipynb"), as_version=4)
        nbformat.validate(notebook)
        code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        assert code == [cell.source for cell in read_page(source).cells if cell.cell_type == "code"]
        prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        assert not re.search(r"\]\([^)]*\.(md|py)\b|--8<--|\]\[tutorial_pkg", prose)


def test_links_and_anchors_lead_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    dead = []
    for path, page in pages.items():
        for link in page.links | page.resources:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and target in pages and anchor not in pages[target].ids):
                dead.append(f"{path.relative_to(site)} → {link}")
    assert dead == []


def test_nothing_is_loaded_from_another_host(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        for resource in page.resources:
            assert not urlsplit(resource).netloc, f"{path}: {resource}"
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        for address in re.findall(r"""(?:url\(|@import\s+)["']?([^"')\s]+)""", text):
            assert not re.match(r"(https?:)?//", address), f"{style}: {address}"


def test_nothing_of_the_source_is_left_in_the_text(pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        left = re.search(r"\{\{ *[\w-]+\.[\w.-]+ *\}\}|--8<--|\\\(|\\\[|^ *!!! |\]\[tutorial_pkg|\[\^", page.prose)
        assert left is None, f"{path}: {left}"
        assert "data-figure" not in path.read_text(encoding="utf-8"), path


def test_no_id_is_used_twice(pages: dict[Path, Page]) -> None:
    assert {path.name: page.repeated_ids for path, page in pages.items() if page.repeated_ids} == {}


def test_no_level_of_headings_is_left_out(pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        assert page.levels[0] == 1, path
        assert all(below <= above + 1 for above, below in pairwise(page.levels)), f"{path}: {page.levels}"


def test_every_page_has_a_title_and_a_description_of_its_own(pages: dict[Path, Page]) -> None:
    of_pages = {path: page for path, page in pages.items() if path.name != "404.html"}
    descriptions = [page.description for page in of_pages.values()]
    assert len(set(descriptions)) == len(of_pages)
    assert min(map(len, descriptions)) > 20
    assert max(map(len, descriptions)) < 300
    for path in of_pages:
        title = re.search("<title>(.*?)</title>", path.read_text(encoding="utf-8"))
        assert title
        parts = title[1].split(" - ")
        assert len(set(parts)) == len(parts), title[1]


def test_a_list_of_pages_names_more_than_one(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    for address in addresses(site):
        page.goto(address)
        if page.is_visible(".md-sidebar--primary") and not address.endswith("/404.html"):
            links = page.query_selector_all(".md-sidebar--primary .md-nav__item--active .md-nav__link")
            assert sum(link.is_visible() for link in links) > 1, address
    page.close()


def test_figures_follow_the_palette(pages: dict[Path, Page]) -> None:
    figures = [svg for path in pages for svg in re.findall(r"<svg[^>]*themable.*?</svg>", path.read_text(), re.DOTALL)]
    assert figures
    for svg in figures:
        assert "var(--fig-ink)" in svg or "<text" not in svg
        assert "aria-label=" in svg[: svg.index(">")], "a figure has no description: give its cell alt=…"


def test_docstrings_are_shown_as_they_were_meant(site: Path) -> None:
    for path in sorted((site / "api").glob("*.html")):
        html = path.read_text(encoding="utf-8")
        for text in re.findall(r"<em>(.*?)</em>", html, re.DOTALL):
            assert re.fullmatch(r"[\w ,’'-]+", text), f"{path}: Markdown has eaten the asterisks around {text!r}"
        for title, items in re.findall(r'section-title">(\w+):</span>.*?<ul>(.*?)</ul>', html, re.DOTALL):
            names = [re.sub(r"<[^>]*>", "", name) for name in re.findall(r"<li[^>]*>\s*<b>(.*?)</b>", items)]
            assert not [name for name in names if not name.isidentifier()], f"{path}: one name a line in {title}"
            assert title != "Returns" or items.count("<li") == 1, f"{path}: a sentence is cut in two: {items}"


def addresses(site: Path) -> list[str]:
    return [path.as_uri() for path in sorted(site.rglob("*.html"))]


def test_a_browser_asks_no_other_host(site: Path, browser: Any) -> None:
    page = browser.new_page()
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url))
    for address in addresses(site):
        page.goto(address)
        page.wait_for_timeout(50)
    page.close()
    assert {url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))} == set()


def test_no_page_is_wider_than_a_phone(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    wide = {}
    for address in addresses(site):
        page.goto(address)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 390:
            wide[address] = width
    page.close()
    assert wide == {}


def test_words_of_figures_can_be_read_on_a_phone(site: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    for address in addresses(site):
        page.goto(address)
        sizes = page.evaluate(
            """[...document.querySelectorAll("svg.themable:has(text)")].filter(svg => svg.clientWidth)
            .map(svg => [svg.clientWidth / svg.viewBox.baseVal.width, svg.querySelector("image") !== null,
                Math.min(...[...svg.querySelectorAll("text")].map(t => parseFloat(getComputedStyle(t).fontSize)))])"""
        )
        for scale, pictures, smallest in sizes:
            assert scale > 0.8 or (pictures and scale * smallest > 7.2), address
    page.close()


def test_a_root_leaves_no_gap(site: Path, browser: Any) -> None:
    page = browser.new_page()
    page.goto((site / "sections" / "spectral.html").as_uri())
    page.evaluate("document.fonts.ready")
    gaps = page.evaluate(
        """[...document.querySelectorAll("msqrt.short")].map(root =>
        root.getBoundingClientRect().right - root.lastElementChild.getBoundingClientRect().right)"""
    )
    assert gaps
    assert max(gaps) < 1
    page.close()


def test_dark_colours_reach_the_figures(site: Path, browser: Any) -> None:
    inks = {}
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.goto((site / "sections" / "introduction.html").as_uri())
        inks[scheme] = page.evaluate(
            "getComputedStyle(document.body).getPropertyValue('--fig-ink').trim() + ' on ' + "
            "getComputedStyle(document.body).backgroundColor"
        )
        page.close()
    assert inks["light"] != inks["dark"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_small_print_can_be_read(site: Path, browser: Any, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto((site / "sections" / "transfer.html").as_uri())
    shown = page.evaluate(
        """[".caption", ".provenance", "td small", ".muted"].map(name => {
            const style = getComputedStyle(document.querySelector(`.md-typeset ${name}`));
            return [style.color, style.opacity, parseFloat(style.fontSize)];
        })"""
    )
    ground = rgba(page.evaluate("getComputedStyle(document.body).backgroundColor"))[:3]
    page.close()
    for color, opacity, size in shown:
        *ink, alpha = rgba(color)
        alpha *= float(opacity)
        mixed = [alpha * a + (1 - alpha) * b for a, b in zip(ink, ground, strict=True)]
        lighter, darker = sorted((luminance(mixed), luminance(ground)), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) > 5.5, color
        assert size >= 12


def rgba(color: str) -> list[float]:
    """Return red, green and blue from 0 to 1, and the opacity."""
    *found, alpha = [float(part) for part in [*re.findall(r"[\d.]+", color), "1"][:4]]
    return [part / 255 for part in found] + [alpha]


def luminance(color: Sequence[float]) -> float:
    """Return the relative luminance of WCAG."""
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("stranger still", "introduction.html"),  # of that page only
        ("goose", "alexnet.html"),  # between quotation marks or before a full stop
        ("minimum_distortion", "attacks.html"),
        ("0.0065", "alexnet.html"),
    ],
)
def test_search_works_from_a_file(site: Path, browser: Any, words: str, found: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto((site / "index.html").as_uri())
    page.click("input.md-search__input")
    page.keyboard.type(words)
    page.wait_for_selector(f'.md-search-result__link[href*="{found}"]', timeout=10_000)
    page.close()


def test_mathematics_has_its_font(site: Path, browser: Any) -> None:
    page = browser.new_page()
    page.goto((site / "sections" / "introduction.html").as_uri())
    page.evaluate("document.fonts.ready")
    assert page.evaluate("[...document.fonts].some(f => f.family.includes('Math') && f.status === 'loaded')")
    heights = page.evaluate("[...document.querySelectorAll('math')].map(m => m.getBoundingClientRect().height)")
    assert len(heights) > 5
    assert min(heights) > 0
    page.close()
