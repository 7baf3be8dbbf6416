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

from fontTools import subset
from fontTools.ttLib import TTFont
from latex2mathml.converter import convert

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
LIMITS = {"min", "max", "sup", "inf", "lim"}
ROOT_SIGN = "\u221a"
MARK, SPACE = "LIMITS", "SPACE"  # stand, inside \operatorname, for its star and for the spaces of its name
SIGNS = tuple("+−±∓")
BARS = tuple("|‖∣")  # open and close alike
LEADS = (*SIGNS, *"([{⟨⌊⌈,;:=≠<>≤≥≪≫≈≡∼≃∝∈∉⊂⊆→↦⇒⇔·×/∘⋆⊗⊙∑∏∫")  # what no operand has ended with
ROWS = {"math", "mrow", "mtd", "msqrt", "mstyle"}
SCRIPTS = {"msub", "msup", "msubsup", "munder", "mover", "munderover"}
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
    for row in [node for node in root.iter() if node.tag in ROWS]:
        _space(row)
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
    if node.tag == "msqrt" and {inner.tag for inner in node.iter()} <= {"msqrt", "mrow", "mi", "mn"}:
        node.set("class", "short")
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
    if node.tag == "mi" and text in tuple(";:⟨⟩±∓"):
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


def _space(row: ElementTree.Element) -> None:
    """Set a sign close to what it belongs to, and a function's name to what stands before it, unless that is a term."""
    term, bars = False, 0  # whether a term has just ended, and how many bars there were
    for child in [child for child in row if child.tag != "mspace"]:
        operator = _operator(child)
        if operator is None:
            term = True
            continue
        text = operator.text or ""
        if text == "·" and not term:  # f(·), a place for a term
            operator.attrib |= {"lspace": "0", "rspace": "0"}
            term = True
            continue
        function = len(text) > 1 and text.replace("\u2009", "").isalpha()
        if text in SIGNS and not term and len(row) > 1:
            operator.set("form", "prefix")
        if function and (not term or (child is row[1] and _is_empty(row[0]))):
            operator.set("lspace", "0")
        bars += text in BARS
        opening = operator.get("form", "prefix" if bars % 2 else "postfix") == "prefix"
        term = not (opening if text in BARS else function or text in LEADS)


def _operator(node: ElementTree.Element) -> ElementTree.Element | None:
    """Return the operator that an element is, or is with its scripts."""
    while node.tag in SCRIPTS and len(node):
        node = node[0]
    return node if node.tag == "mo" else None


def _is_empty(node: ElementTree.Element) -> bool:
    """Say whether a node is what begins the second cell of an aligned line: a term to a sign, nothing to the eye."""
    return node.tag == "mi" and not node.text


def _align(table: ElementTree.Element) -> None:
    """Say in CSS how columns are aligned; browsers have dropped the attribute."""
    for row in table:
        for i, cell in enumerate(row):
            equation = ("right", "left")[i % 2] if table.get("displaystyle") == "true" else "center"
            cell.set("style", f"text-align:{cell.get('columnalign', equation)}")


def render_arithmatex(html: str) -> str:
    """Replace the formulas that pymdownx.arithmatex marked in a page by MathML.

    A formula in a sentence keeps what touches it, brackets, punctuation and endings such as "-th": a browser may break
    a line between.
    """

    def inline(match: re.Match[str]) -> str:
        before, tex, after = match.groups()
        formula = to_mathml(unescape(tex))
        return f'<span class="whole">{before}{formula}{after}</span>' if before or after else formula

    def block(match: re.Match[str]) -> str:
        return f'<div class="formula">{to_mathml(unescape(match[1]), display=True)}</div>'

    html = re.sub(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', block, html, flags=re.DOTALL)
    marked = r'([(\[]*)<span class="arithmatex">\\\((.*?)\\\)</span>((?:-\w+)?[,.;:!?)\]]*)'
    return re.sub(marked, inline, html, flags=re.DOTALL)


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
    letters = {chr(c) for c in (*range(0x41, 0x5B), *range(0x61, 0x7B))}
    italics = {chr(c) for c in range(0x1D434, 0x1D468)} | {"\u210e"} | {chr(c) for c in range(0x1D6E2, 0x1D71C)}
    _write_subset(_stix(), characters | letters | italics | {ROOT_SIGN}, path)


def write_root_font(path: Path) -> None:
    """Write a font of one sign, the smallest root of STIX Two Math, for what is as low as a letter.

    Chromium makes every root as wide as if its sign were the widest that the font has, which leaves a gap after √2.
    """
    font = _stix()
    variants = font["MATH"].table.MathVariants
    sign = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(font.getBestCmap()[ord(ROOT_SIGN)])]
    del sign.MathGlyphVariantRecord[1:]
    sign.VariantCount, sign.GlyphAssembly = 1, None
    _write_subset(font, {ROOT_SIGN}, path)


def _stix() -> TTFont:
    package = Path(str(find_spec("ziamath").origin)).parent  # type: ignore[union-attr]
    return TTFont(package / "fonts" / "STIXTwoMath-Regular.ttf")


def _write_subset(font: TTFont, characters: set[str], path: Path) -> None:
    options = subset.Options(flavor="woff", layout_features=["*"], notdef_outline=True)
    subsetter = subset.Subsetter(options)
    subsetter.populate(text="".join(characters))
    subsetter.subset(font)
    path.parent.mkdir(parents=True, exist_ok=True)
    subset.save_font(font, str(path), options)
