"""LaTeX to MathML at build time, and the font that draws it: mathematics without a script in the page.

`latex2mathml` does the translation; this module mends what it gets wrong for a browser and refuses what it
does not know, so that a misspelt command fails the build instead of appearing in the page as text.
"""

from __future__ import annotations

import re
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from latex2mathml.converter import convert

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
LIMITS = {"min", "max", "sup", "inf", "lim"}
MARK, SPACE = "LIMITS", "SPACE"  # stand, inside \operatorname, for its star and for the spaces of its name
FENCES = {r"\{": "{", r"\}": "}", r"\|": "‖"}  # what \Big and its like leave untranslated


def to_mathml(tex: str, *, display: bool = False) -> str:
    r"""Return the MathML of a LaTeX formula.

    Raises:
        ValueError: `tex` has a command or an environment that cannot be translated.

    Example:
        >>> "<munder>" in to_mathml(r"\operatorname*{arg\,min}_r |r|", display=True)
        True
        >>> to_mathml(r"\nosuchcommand{x}")
        Traceback (most recent call last):
        ...
        ValueError: cannot translate \nosuchcommand in $\nosuchcommand{x}$
    """
    source = re.sub(r"\\operatorname(\*?)\{([^}]*)\}", _operator_name, tex).replace("{aligned}", "{align*}")
    try:
        translated = convert(source, display="block" if display else "inline")
        root = ElementTree.fromstring(translated.replace("<mi>&</mi>", "<mi>&amp;</mi>"))
    except Exception as error:
        raise ValueError(f"cannot translate ${tex}$: {error!r}") from error
    for node in root.iter():
        node.tag = node.tag.removeprefix(f"{{{NAMESPACE}}}")
    for node in list(root.iter()):
        _mend(node, display)
        if re.match(r"\\|&$", node.text or ""):
            raise ValueError(f"cannot translate {node.text} in ${tex}$")
        if node.get("mathvariant", "normal") != "normal":
            raise ValueError(f"browsers ignore the {node.get('mathvariant')} style in ${tex}$; use \\mathbf")
    root.attrib = {"alttext": " ".join(tex.split())} | ({"display": "block"} if display else {})
    return ElementTree.tostring(root, encoding="unicode")


def _operator_name(match: re.Match[str]) -> str:
    name = re.sub(r"\\[,;: ]|~", SPACE, match[2])
    return rf"\operatorname{{{MARK if match[1] else ''}{name}}}"


def _mend(node: ElementTree.Element, display: bool) -> None:
    """Correct one element and what its children need to know of one another."""
    for child in [child for child in node if child.tag == "mo" and not child.text]:
        node.remove(child)
    children = list(node)
    name = (children[0].text or "") if children and children[0].tag == "mo" else ""
    if node.tag == "msub" and display and (name.startswith(MARK) or name in LIMITS):
        node.tag = "munder"
    if node.tag == "mover" and children[-1].text == "^":
        node.set("accent", "true")
    if node.tag == "mtable":
        _align(node)
    for child, after in zip(children, [*children[1:], None], strict=False):
        if child.tag == "mo" and len(child.text or "") > 1 and (child.text or "").isalpha():
            opens = after is not None and (after.text or "") in tuple("([{")
            child.attrib |= {"lspace": "0.167em", "rspace": "0" if opens else "0.167em"}
    letters = [child for child in children if child.tag == "mi" and child.get("mathvariant") == "normal"]
    if len(letters) > 1 and len(letters) == len(children):
        for child in letters:
            node.remove(child)
        ElementTree.SubElement(node, "mi").text = "".join(child.text or "" for child in letters)
    _mend_token(node)


def _mend_token(node: ElementTree.Element) -> None:
    """Correct an identifier, an operator or a space."""
    text = node.text or ""
    node.text = FENCES.get(text, text.removeprefix(MARK).replace(SPACE, "\u2009")) or None
    if node.tag == "mi" and text in tuple(";:⟨⟩"):
        node.tag = "mo"
        if text in "⟨⟩":
            node.attrib |= {"stretchy": "false", "form": "prefix" if text == "⟨" else "postfix"}
    if node.tag == "mi" and text in tuple("ΓΔΘΛΞΠΣΦΨΩ"):
        node.set("mathvariant", "normal")
    if node.tag == "mo" and node.text in tuple("/|‖"):
        node.attrib |= {"lspace": "0", "rspace": "0"}
        if node.get("minsize") is None and node.get("fence") != "true":
            node.set("stretchy", "false")
    if node.get("width") == "negativethinmathspace":
        node.set("width", "-0.167em")


def _align(table: ElementTree.Element) -> None:
    """Say in CSS how columns are aligned; browsers have dropped the attribute."""
    for row in table:
        for i, cell in enumerate(row):
            equation = ("right", "left")[i % 2] if table.get("displaystyle") == "true" else "center"
            cell.set("style", f"text-align:{cell.get('columnalign', equation)}")


def render_arithmatex(html: str) -> str:
    """Replace the formulas that pymdownx.arithmatex marked in a page by MathML."""

    def inline(match: re.Match[str]) -> str:
        return to_mathml(unescape(match[1]))

    def block(match: re.Match[str]) -> str:
        return f'<div class="formula">{to_mathml(unescape(match[1]), display=True)}</div>'

    html = re.sub(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', block, html, flags=re.DOTALL)
    return re.sub(r'<span class="arithmatex">\\\((.*?)\\\)</span>', inline, html, flags=re.DOTALL)


def math_characters(html: str) -> set[str]:
    """Return the characters that the formulas of a page draw.

    Example:
        >>> sorted(math_characters("<p>no</p><math><mi>x</mi><mo>+</mo></math>"))
        ['+', 'x']
    """
    formulas = re.findall(r"<math.*?</math>", html, flags=re.DOTALL)
    return set(unescape(re.sub(r"<[^>]*>", "", "".join(formulas))))


def write_math_font(characters: set[str], path: Path) -> None:
    """Write the part of STIX Two Math that draws `characters`; the font comes with the ziamath package."""
    from fontTools import subset

    letters = {chr(c) for c in (*range(0x41, 0x5B), *range(0x61, 0x7B))}
    italics = {chr(c) for c in range(0x1D434, 0x1D468)} | {"\u210e"} | {chr(c) for c in range(0x1D6E2, 0x1D71C)}
    options = subset.Options(flavor="woff", layout_features=["*"], notdef_outline=True)
    package = Path(str(find_spec("ziamath").origin)).parent  # type: ignore[union-attr]
    font = subset.load_font(str(package / "fonts" / "STIXTwoMath-Regular.ttf"), options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(text="".join(characters | letters | italics | {"\u221a"}))
    subsetter.subset(font)
    path.parent.mkdir(parents=True, exist_ok=True)
    subset.save_font(font, str(path), options)
