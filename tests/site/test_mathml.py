"""LaTeX to MathML: what a browser needs, and what is refused."""

import re

import pytest
from mathml import math_characters, render_arithmatex, to_mathml, write_math_font, write_root_font

FORMULAS = [
    r"D(x, l) = \operatorname*{arg\,min}_{r}\; c\,|r| + \mathrm{loss}_f(x + r, l)",
    r"\|W\| = \sup_{\omega} \|A(\omega)\|_2",
    r"W x = \Big\{ \sum_{c=1}^{C} x_c \star w_{c,f}[n_1 \Delta, n_2 \Delta]\,;\ f = 1, \dots, F \Big\}",
    r"\begin{aligned} \min_r\; & \|r\|_2 \\ \text{s.t. } & x + r \in [0, 1]^m \end{aligned}",
    r"f(x) = \begin{cases} 1 & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}",
    r"\left\| \frac{a}{b} \right\| \le \left| \frac ab \right|, \quad \lVert x \rVert",
]


@pytest.mark.parametrize("tex", FORMULAS)
@pytest.mark.parametrize("display", [False, True])
def test_nothing_of_latex_is_left(tex: str, display: bool) -> None:
    text = re.sub(r"<[^>]*>", "", to_mathml(tex, display=display))
    assert not re.search(r"\\|&amp;|LIMITS|SPACE", text)


def test_limits_go_below_in_display_only() -> None:
    tex = r"\operatorname*{arg\,min}_r |r|"
    assert "<munder>" in to_mathml(tex, display=True)
    assert "<msub>" in to_mathml(tex)
    assert "arg\u2009min" in to_mathml(tex)


@pytest.mark.parametrize(
    "tex",
    [
        "-x",
        "[-10, 10]",
        "(1, -2)",
        r"r = -\nabla f",
        r"2 \cdot -1",
        r"x \to -\infty",
        r"\|-x\|",
        r"\left(-1\right)",
        "e^{-x}",
        r"\max(0, -x)",
        r"\begin{aligned} r & = -x \end{aligned}",
        r"\pm 1",
    ],
)
def test_a_sign_stands_close_to_its_number(tex: str) -> None:
    assert re.search(r'<mo form="prefix">[−±]</mo>', to_mathml(tex))


@pytest.mark.parametrize(
    "tex",
    [
        "a - b",
        "|x| - |y|",
        r"\|x\|_2 - 1",
        "(a) - 1",
        "x^2 - 1",
        r"\frac12 - x",
        "n! - 1",
        r"\langle x \rangle - 1",
        r"\langle \cdot - x",
    ],
)
def test_a_minus_between_terms_keeps_its_room(tex: str) -> None:
    assert "<mo>−</mo>" in to_mathml(tex)


def test_a_dot_for_a_term_stands_alone() -> None:
    assert '<mo lspace="0" rspace="0">·</mo>' in to_mathml(r"f(0, \cdot)")
    assert "<mo>·</mo>" in to_mathml(r"2 \cdot 3")


def test_a_line_may_begin_with_a_function() -> None:
    lines = r"\begin{aligned} \min_r\; & |r| \\ & \max_s s \end{aligned}"
    assert to_mathml(lines, display=True).count('lspace="0" rspace="0.167em"') == 2
    assert 'lspace="0.167em"' in to_mathml(r"2 \max x")


def test_a_low_root_is_marked() -> None:
    assert '<msqrt class="short">' in to_mathml(r"\sqrt{784}")
    assert "short" not in to_mathml(r"\sqrt{\sum_i r_i^2}")


def test_words_are_one_identifier() -> None:
    assert "<mi>loss</mi>" in to_mathml(r"\mathrm{loss}_f")


@pytest.mark.parametrize("tex", [r"\nosuchcommand{x}", r"x \Bigg? y \foo", r"\boldsymbol{\theta}"])
def test_what_is_not_known_is_refused(tex: str) -> None:
    with pytest.raises(ValueError, match=r"cannot translate|browsers ignore"):
        to_mathml(tex)


def test_only_marked_formulas_are_rendered() -> None:
    html = r'<code>\(a\)</code><span class="arithmatex">\(a &lt; b\)</span>'
    rendered = render_arithmatex(html)
    assert rendered.startswith(r"<code>\(a\)</code><math")
    assert "&lt;" in rendered


def test_a_formula_keeps_what_touches_it() -> None:
    html = r'so (<span class="arithmatex">\(a\)</span>), and <span class="arithmatex">\(b\)</span>-th too'
    rendered = render_arithmatex(html)
    assert re.search(
        r'so <span class="whole">\(<math.*?</math>\),</span> and <span class="whole"><math.*?</math>-th</span> too',
        rendered,
    )


def test_font_has_the_characters_and_the_table_for_mathematics(tmp_path) -> None:
    from fontTools.ttLib import TTFont

    characters = math_characters(to_mathml(r"\sum_i \phi(x_i) \le \infty"))
    write_math_font(characters, tmp_path / "math.woff")
    font = TTFont(tmp_path / "math.woff")
    assert "MATH" in font
    assert {ord(c) for c in characters if not c.isspace()} <= set(font.getBestCmap())


def test_the_root_of_the_small_font_has_one_size(tmp_path) -> None:
    from fontTools.ttLib import TTFont

    write_root_font(tmp_path / "root.woff")
    font = TTFont(tmp_path / "root.woff")
    (construction,) = font["MATH"].table.MathVariants.VertGlyphConstruction
    assert list(font.getBestCmap()) == [0x221A]
    assert len(construction.MathGlyphVariantRecord) == 1
    assert construction.GlyphAssembly is None
