import ast
import importlib
import sys
from textwrap import dedent

import pytest

from tutorial_pkg import fingerprint

BASE = """
    import math
    from tutorial_pkg.scratch_b import helper

    FACTOR = 3

    class Tool:
        def use(self):
            return FACTOR

    def compute(x):
        '''Prose.'''
        return helper(x) + Tool().use()

    def render(x):
        return str(x)
"""
HELPER = """
    def helper(x):
        return inner(x)  # a comment

    def inner(x):
        return x + 1

    def unrelated(x):
        return x
"""


@pytest.fixture
def fingerprint_of(tmp_path, monkeypatch):
    """Write two modules into a stand-in for the package and fingerprint `compute`."""
    monkeypatch.setattr(fingerprint, "PACKAGE", "scratch_pkg")
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "scratch_pkg"
    package.mkdir()
    (package / "__init__.py").touch()

    def of(main=BASE, helper=HELPER):
        (package / "a.py").write_text(dedent(main).replace("tutorial_pkg.scratch_b", "scratch_pkg.b"))
        (package / "b.py").write_text(dedent(helper))
        fingerprint.forget_sources()
        for name in [n for n in sys.modules if n.startswith("scratch_pkg")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return fingerprint.code_fingerprint(importlib.import_module("scratch_pkg.a").compute)

    yield of
    fingerprint.forget_sources()


def test_prose_and_neighbours_change_nothing(fingerprint_of):
    before = fingerprint_of()
    assert fingerprint_of(BASE.replace("Prose.", "Better prose.")) == before
    assert fingerprint_of(BASE.replace("return str(x)", "return repr(x)")) == before
    assert fingerprint_of(helper=HELPER.replace("a comment", "another")) == before
    assert fingerprint_of(helper=HELPER.replace("def unrelated(x):\n        return x", "")) == before
    assert fingerprint_of(BASE.replace("helper(x) + Tool", "helper(x)  +  Tool")) == before
    text = BASE.replace("FACTOR = 3", "FACTOR = '3'")
    assert fingerprint_of(text) == fingerprint_of(text.replace("'3'", "u'3'")) != before


def test_docstrings_of_classes_and_methods_are_prose(fingerprint_of):
    documented = BASE.replace("class Tool:\n", "class Tool:\n        '''Prose.'''\n\n")
    documented = documented.replace("def use(self):\n", "def use(self):\n            '''Prose.'''\n")
    assert documented.count("Prose") == 3
    assert fingerprint_of(documented) == fingerprint_of()


def test_what_an_exception_says_is_prose_and_what_it_is_is_not(fingerprint_of):
    raising = HELPER.replace("return inner(x)", "raise ValueError(f'no {x}')")
    before = fingerprint_of(helper=raising)
    assert fingerprint_of(helper=raising.replace("no {x}", "{x} is not expected")) == before
    assert fingerprint_of(helper=raising.replace("ValueError", "TypeError")) != before


def test_every_version_of_python_sees_the_same():
    # `ast.unparse` quotes nested f-strings in another way since Python 3.12, which also gave functions a field more.
    tree = ast.parse("def f(x):\n    'Prose.'\n    return f'{x[\"a\"]!r:>{9}}'")
    assert fingerprint._without_prose(tree.body[0].body[1].value.values[0]) == [
        "FormattedValue",
        ["conversion", "114"],
        [
            "format_spec",
            [
                "JoinedStr",
                [
                    "values",
                    [
                        ["Constant", ["value", "'>'"]],
                        ["FormattedValue", ["conversion", "-1"], ["value", ["Constant", ["value", "9"]]]],
                    ],
                ],
            ],
        ],
        [
            "value",
            [
                "Subscript",
                ["ctx", ["Load"]],
                ["slice", ["Constant", ["value", "'a'"]]],
                ["value", ["Name", ["ctx", ["Load"]], ["id", "'x'"]]],
            ],
        ],
    ]
    assert [name for name, _ in fingerprint._without_prose(tree.body[0])[1:]] == ["args", "body", "name"]


@pytest.mark.parametrize(
    ("where", "old", "new"),
    [
        ("main", "FACTOR = 3", "FACTOR = 4"),
        ("main", "return FACTOR", "return -FACTOR"),
        ("main", "helper(x) + Tool", "helper(x) - Tool"),
        ("helper", "x + 1", "x + 2"),
        ("helper", "inner(x)  #", "inner(-x)  #"),
    ],
)
def test_everything_that_is_used_counts(fingerprint_of, where, old, new):
    before = fingerprint_of()
    sources = {"main": BASE, "helper": HELPER}
    sources[where] = sources[where].replace(old, new)
    assert fingerprint_of(**sources) != before


@pytest.mark.parametrize("assigned", ["FACTOR, OTHER = 3, 1", "OTHER, (*REST, FACTOR) = 1, (2, 3)", "FACTOR: int = 3"])
def test_constants_count_however_they_are_assigned(fingerprint_of, assigned):
    main = BASE.replace("FACTOR = 3", assigned)
    assert fingerprint_of(main) != fingerprint_of(main.replace("3", "4"))


def test_an_item_that_is_assigned_later_hides_no_constant(fingerprint_of):
    main = BASE.replace("FACTOR = 3", "FACTOR = 3\n    TABLE = {}\n    TABLE[FACTOR] = 1")
    assert fingerprint_of(main) != fingerprint_of(main.replace("3", "4"))


def test_where_data_and_models_come_from_does_not_count(fingerprint_of, tmp_path):
    package = tmp_path / "scratch_pkg" / "experiments"
    package.mkdir()
    (package / "__init__.py").touch()
    main = BASE.replace("tutorial_pkg.scratch_b", "scratch_pkg.experiments.base")
    (package / "base.py").write_text("def helper(x):\n    return x\n")
    before = fingerprint_of(main)
    (package / "base.py").write_text("def helper(x):\n    return -x\n")
    assert fingerprint_of(main) == before


@pytest.mark.parametrize("statement", ["from scratch_pkg import b", "import scratch_pkg.b as b"])
def test_modules_imported_whole_are_followed(fingerprint_of, statement):
    whole = BASE.replace("from tutorial_pkg.scratch_b import helper", statement).replace("helper(x)", "b.helper(x)")
    before = fingerprint_of(whole)
    assert fingerprint_of(whole, HELPER.replace("x + 1", "x + 2")) != before


def test_a_function_may_share_its_module_s_name(fingerprint_of, tmp_path):
    """`from package import name` means the function that the package exports, not the submodule of that name."""
    package = tmp_path / "scratch_pkg" / "tools"
    package.mkdir()
    (package / "__init__.py").write_text("from scratch_pkg.tools.helper import helper\n")
    main = BASE.replace("tutorial_pkg.scratch_b", "scratch_pkg.tools")
    (package / "helper.py").write_text("def helper(x):\n    return x\n")
    before = fingerprint_of(main)
    (package / "helper.py").write_text("def helper(x):\n    return -x\n")
    assert fingerprint_of(main) != before


def test_a_package_may_import_its_own_modules(fingerprint_of, tmp_path):
    package = tmp_path / "scratch_pkg" / "tools"
    package.mkdir()
    (package / "__init__.py").write_text("from scratch_pkg.tools import shared\n")
    (package / "shared.py").write_text("def helper(x):\n    return x\n")
    main = BASE.replace("from tutorial_pkg.scratch_b import helper", "from scratch_pkg.tools import shared")
    main = main.replace("helper(x)", "shared.helper(x)")
    before = fingerprint_of(main)
    (package / "shared.py").write_text("def helper(x):\n    return -x\n")
    assert fingerprint_of(main) != before


def test_imports_inside_functions_are_followed(fingerprint_of):
    local = BASE.replace("from tutorial_pkg.scratch_b import helper", "").replace(
        "return helper(x)", "from scratch_pkg.b import helper\n        return helper(x)"
    )
    before = fingerprint_of(local)
    assert fingerprint_of(local, HELPER.replace("x + 1", "x + 2")) != before


def test_names_give_the_fingerprint_of_what_they_stand_for(fingerprint_of):
    before = fingerprint_of()
    assert fingerprint.names_fingerprint([("scratch_pkg.a", "compute")]) == before
    assert fingerprint.names_fingerprint([("scratch_pkg.a", "compute"), ("scratch_pkg.a", "math")]) == before
    assert fingerprint.is_definition("scratch_pkg.a", "helper"), "defined elsewhere, and passed on"
    assert not fingerprint.is_definition("scratch_pkg.a", "math")
    assert not fingerprint.is_definition("scratch_pkg", "a")


def test_a_method_has_the_fingerprint_of_its_class(fingerprint_of):
    fingerprint_of()
    use = importlib.import_module("scratch_pkg.a").Tool.use
    found = fingerprint.code_fingerprint(use)
    assert found == fingerprint.names_fingerprint([("scratch_pkg.a", "Tool")]) != fingerprint.names_fingerprint([])


def test_what_a_package_binds_is_read_anew_too(fingerprint_of, tmp_path):
    package = tmp_path / "scratch_pkg" / "kit"
    package.mkdir()
    main = BASE.replace("tutorial_pkg.scratch_b", "scratch_pkg.kit")
    (package / "helper.py").touch()
    (package / "__init__.py").touch()
    fingerprint_of(main)  # `helper` is a module, so far
    found = []
    for body in ("x", "-x"):
        (package / "__init__.py").write_text(f"def helper(x):\n    return {body}\n")
        found.append(fingerprint_of(main))
    assert found[0] != found[1]


def test_sources_are_read_anew_when_asked_to(fingerprint_of, tmp_path):
    before = fingerprint_of()
    (tmp_path / "scratch_pkg" / "b.py").write_text("def helper(x):\n    return -x\n")
    assert fingerprint.names_fingerprint([("scratch_pkg.a", "compute")]) == before
    fingerprint.forget_sources()
    assert fingerprint.names_fingerprint([("scratch_pkg.a", "compute")]) != before


def test_names_imported_under_another_name_are_followed(fingerprint_of):
    renamed = BASE.replace("import helper", "import helper as aid").replace("helper(x)", "aid(x)")
    before = fingerprint_of(renamed)
    assert fingerprint_of(renamed, HELPER.replace("x + 1", "x + 2")) != before


def test_an_import_inside_a_function_is_its_own(fingerprint_of, tmp_path):
    local = BASE.replace("from tutorial_pkg.scratch_b import helper", "").replace(
        "return helper(x)", "from scratch_pkg.b import helper\n        return helper(x)"
    )
    local = local.replace("return str(x)", "from scratch_pkg.c import helper\n        return helper(x)")
    fingerprint_of()  # makes the package
    (tmp_path / "scratch_pkg" / "c.py").write_text("def helper(x):\n    return x\n")
    before = fingerprint_of(local)
    assert fingerprint_of(local, HELPER.replace("x + 1", "x + 2")) != before
    (tmp_path / "scratch_pkg" / "c.py").write_text("def helper(x):\n    return -x\n")
    assert fingerprint_of(local) == before


def test_the_order_of_names_and_definitions_does_not_count(fingerprint_of):
    fingerprint_of()
    names = [("scratch_pkg.a", "render"), ("scratch_pkg.b", "inner"), ("scratch_pkg.b", "unrelated")]
    assert fingerprint.names_fingerprint(names) == fingerprint.names_fingerprint(names[::-1])
