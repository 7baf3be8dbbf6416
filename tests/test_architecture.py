"""Data flows one way: a module may import only what stands before it in this list."""

import ast
from pathlib import Path

import pytest

import tutorial_pkg

ORDER = [
    {"files", "fingerprint", "paper", "image_cache", "precision"},
    {"records"},
    {"freshness"},
    {"image_folder", "provenance"},
    {"data"},
    {"models"},
    {"metrics", "roc"},
    {"training", "attacks", "units", "spectral"},
    {"transfer", "adversarial_training", "stimulus"},
    {"figures"},
    {"experiments"},
    {"claims", "performance", "durations"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
NEVER = {
    "files": {"torch", "matplotlib"},
    "records": {"torch", "matplotlib"},
    "freshness": {"torch", "matplotlib"},
    "figures": {"torch"},
    "data": {"matplotlib"},
    "metrics": {"matplotlib"},
}

PACKAGE = Path(tutorial_pkg.__file__).parent
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def room(path):
    """The first part of a module's path below the package: "attacks" for attacks/lbfgs.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative imports hide where a name comes from"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_backwards(path):
    here = room(path)
    assert here in RANK, f"{here} has no place in the order above; give it one"
    for name in imported_names(path):
        parts = name.split(".")
        if parts[0] == "tutorial_pkg" and len(parts) > 1 and parts[1] != here and parts[1] in RANK:
            assert RANK[parts[1]] < RANK[here], f"{here} imports {name}, which comes after it"
        assert parts[0] not in NEVER.get(here, ()), f"{here} must not know {parts[0]}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_modules_stay_readable(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350
    assert path.stem != "utils"
