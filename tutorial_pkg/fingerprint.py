"""A hash of the code that a function depends on, so that a record knows when it is out of date.

The hash follows names from one definition to the next through this package's own modules, and covers the
definitions it reaches and nothing else: prose (comments, docstrings, what an exception says), a neighbour in the same
module, a new experiment or another version of Python change no fingerprint, so they cost no recomputation.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE = "tutorial_pkg"

PLUMBING = "experiments.base"
"""The module that hands experiments their data and trained models. It decides where they come from and not what
they are: a record names its data by checksum, and an experiment its trainer."""

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign


@dataclass(frozen=True)
class _Module:
    """What a module binds at its top level: its own definitions, and names imported from this package."""

    definitions: dict[str, Definition]
    imports: dict[str, tuple[str, str | None]]  # local name → (module, name in it, or None for the module)


def code_fingerprint(*functions: Callable[..., object]) -> str:
    """Return a SHA-256 over the source of these functions and of everything of this package they use.

    Names are resolved statically. A name reached only through a string (`getattr`, a registry filled at run
    time) is not followed; this package has none.

    Example:
        >>> from tutorial_pkg import data
        >>> code_fingerprint(data.split_halves) == code_fingerprint(data.split_halves)
        True
    """
    return names_fingerprint((function.__module__, function.__qualname__.split(".")[0]) for function in functions)


def names_fingerprint(names: Iterable[tuple[str, str]]) -> str:
    """Return the fingerprint of what these names stand for, without importing it.

    Args:
        names: (module, name in it), such as `("tutorial_pkg.attacks", "minimum_distortion")`. A name that is not a
            definition of this package, see `is_definition`, adds nothing.

    Example:
        >>> from tutorial_pkg import data
        >>> names_fingerprint([("tutorial_pkg.data", "split_halves")]) == code_fingerprint(data.split_halves)
        True
    """
    reached: dict[tuple[str, str], str] = {}
    pending = list(names)
    while pending:
        module_name, name = pending.pop()
        found = _resolve(module_name, name)
        if found is None or found in reached or found[0] == f"{PACKAGE}.{PLUMBING}":
            continue
        definition = _module(found[0]).definitions[found[1]]
        reached[found] = json.dumps(_without_prose(definition))
        pending.extend(_references(found[0], definition))
    digest = hashlib.sha256()
    for (module_name, name), code in sorted(reached.items()):
        digest.update(f"{module_name}.{name}\n{code}\n".encode())
    return digest.hexdigest()


def is_definition(module: str, name: str) -> bool:
    """Say whether a module of this package defines a name or passes on one that another defines.

    Example:
        >>> is_definition("tutorial_pkg.attacks", "minimum_distortion"), is_definition("tutorial_pkg", "attacks")
        (True, False)
    """
    return _resolve(module, name) is not None


def forget_sources() -> None:
    """Read every module's source anew from now on, in a process that lives longer than a version of the code."""
    _module.cache_clear()
    _bound_names.cache_clear()


def _references(module_name: str, definition: Definition) -> Iterator[tuple[str, str]]:
    """Yield every (module, name) that a definition mentions."""
    imports = dict(_module(module_name).imports)
    imports.update(_imports(definition))
    for node in ast.walk(definition):
        if isinstance(node, ast.Name):
            if node.id in imports and imports[node.id][1] is not None:
                target, name = imports[node.id]
                assert name is not None
                yield target, name
            else:
                yield module_name, node.id
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in imports
            and imports[node.value.id][1] is None
        ):
            yield imports[node.value.id][0], node.attr


def _resolve(module_name: str, name: str) -> tuple[str, str] | None:
    """Follow re-exports until the module that defines the name; None when it is not this package's."""
    while module_name.split(".")[0] == PACKAGE:
        module = _module(module_name)
        if name in module.definitions:
            return module_name, name
        if name not in module.imports or module.imports[name][1] is None:
            return None
        module_name, name = module.imports[name]  # type: ignore[assignment]
    return None


@cache
def _module(name: str) -> _Module:
    tree = _tree(name)
    definitions: dict[str, Definition] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            definitions[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = (n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name))
            definitions.update({n.id: node for n in names if isinstance(n.ctx, ast.Store)})
    return _Module(definitions, dict(_imports(tree)))


def _imports(tree: ast.AST) -> Iterator[tuple[str, tuple[str, str | None]]]:
    """Yield what the import statements in a tree bind, for this package's modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            assert node.module is not None
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                # What a package binds itself comes first, as for Python: a function may share its module's name.
                is_name = alias.name in _bound_names(node.module) or find_spec(submodule) is None
                yield alias.asname or alias.name, (node.module, alias.name) if is_name else (submodule, None)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname and alias.name.split(".")[0] == PACKAGE:
                    yield alias.asname, (alias.name, None)


@cache
def _bound_names(module: str) -> frozenset[str]:
    """Names that a module binds at its top level, by definition or import."""
    names: set[str] = set()
    for node in _tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom) and node.module == module:
            continue  # a package that imports its own submodule binds that module and no other name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
        else:
            names.update(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    return frozenset(names)


def _tree(name: str) -> ast.Module:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ValueError(f"{name} has no source file to fingerprint")
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _without_prose(node: Any) -> Any:
    """Return a syntax tree as lists and strings that are the same for every version of Python.

    Left out are comments, formatting, docstrings, what an exception says, and the fields that some versions only have.
    """
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return ["Raise", _without_prose(node.exc.func)]
    if isinstance(node, ast.AST):
        fields = {name: value for name, value in ast.iter_fields(node) if value is not None and value != []}
        for name in ("kind", "type_comment"):
            fields.pop(name, None)
        return [type(node).__name__, *([name, _without_prose(value)] for name, value in sorted(fields.items()))]
    if isinstance(node, list):
        return [_without_prose(each) for each in node if not _is_string_statement(each)]
    return repr(node)


def _is_string_statement(statement: object) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
