"""Execute the literate pages once each and keep the result until something they depend on changes.

A page is a percent-format Python file under docs/. Its executed notebook goes to .cache/pages, under a key
made of the page, the code of the package that it uses, the files that a cell names under docs/_generated or
results, and the versions of Python and of the libraries. A cell that raises fails the run.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import platform
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from traitlets.config import Config

from tutorial_pkg.fingerprint import forget_sources, is_definition, names_fingerprint

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache" / "pages"
SETUP = """
import matplotlib
from IPython import get_ipython
from matplotlib_inline.backend_inline import set_matplotlib_formats
get_ipython().enable_matplotlib("inline")
set_matplotlib_formats("svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
matplotlib.rcParams.update(__import__("tutorial_pkg.figures").figures.STYLE)
matplotlib.rcParams["figure.figsize"] = (6.4, 3.6)
"""


def page_sources(docs: Path = ROOT / "docs") -> list[Path]:
    """Return the percent-format pages, in a fixed order."""
    return sorted(path for path in docs.rglob("*.py") if "_generated" not in path.parts)


def read_page(path: Path) -> NotebookNode:
    """Read a page as a notebook, not executed, with cell ids that do not change from run to run."""
    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata = NotebookNode(
        kernelspec={"name": "python3", "display_name": "Python 3", "language": "python"},
        language_info={"name": "python"},
    )
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def page_key(path: Path) -> str:
    """Return the key under which a page's executed notebook is kept."""
    code = "\n".join(cell.source for cell in read_page(path).cells if cell.cell_type == "code")
    named = re.findall(r"""["']((?:docs/_generated|results)/[^"']+)["']""", code)
    reads = [file for name in named for file in sorted((ROOT / name).rglob("*")) or [ROOT / name]]
    key = [
        path.read_text(encoding="utf-8"),
        package_key(code),
        {str(file.relative_to(ROOT)): _digest(file) for file in reads if file.is_file()},
        {name: version(name) for name in ("torch", "numpy", "scipy", "scikit-learn", "matplotlib")},
        platform.python_version(),
        SETUP,
    ]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]


def package_key(code: str) -> str:
    """Return a fingerprint of what a page imports from the package and of all that this uses.

    Where a page imports a whole module, every file of the package counts.
    """
    names: list[tuple[str, str]] = []  # (module, name in it)
    whole = False
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tutorial_pkg":
            names += [(str(node.module), alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            whole |= any(alias.name.split(".")[0] == "tutorial_pkg" for alias in node.names)
    forget_sources()  # `mkdocs serve` lives longer than a version of the code
    if whole or any(_is_module(*name) for name in names):
        return "".join(_digest(file) for file in sorted((ROOT / "tutorial_pkg").rglob("*.py")))
    return names_fingerprint(names)


def _is_module(module: str, name: str) -> bool:
    """Say whether an imported name is a module; a function that a package re-exports may share its name."""
    path = ROOT.joinpath(*module.split("."), name)
    return not is_definition(module, name) and (path.is_dir() or path.with_suffix(".py").is_file())


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def executed_path(path: Path) -> Path:
    """Return where a page's executed notebook is, or will be."""
    return CACHE / f"{path.parent.name}-{path.stem}.{page_key(path)}.ipynb"


def executed(path: Path, timeout: int = 300) -> NotebookNode:
    """Return a page as an executed notebook: the one that is kept, or a new one.

    Raises:
        CellExecutionError: a cell raised.
    """
    kept = executed_path(path)
    if kept.exists():
        return nbformat.read(kept, as_version=4)
    notebook = execute(read_page(path), timeout)
    CACHE.mkdir(parents=True, exist_ok=True)
    for old in CACHE.glob(f"{path.parent.name}-{path.stem}.*"):
        old.unlink(missing_ok=True)
    temporary = kept.with_suffix(f".{os.getpid()}.tmp")
    nbformat.write(notebook, temporary)
    temporary.replace(kept)
    return notebook


def execute(notebook: NotebookNode, timeout: int = 300) -> NotebookNode:
    """Execute a notebook in place, with figures as SVG of reproducible bytes."""
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SETUP, id="setup"))
    try:
        # Sockets in a folder of their own: only this user can read them, and no two kernels share any.
        with TemporaryDirectory(prefix="page-") as folder:
            NotebookClient(
                notebook,
                timeout=timeout,
                kernel_name="python3",
                force_raise_errors=True,
                resources={"metadata": {"path": str(ROOT)}},
                extra_arguments=["--HistoryManager.enabled=False"],
                config=Config(KernelManager={"transport": "ipc", "connection_file": f"{folder}/kernel.json"}),
            ).execute(env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"})
    finally:
        del notebook.cells[0]
    return notebook


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute every page that is not up to date; return 1 if a cell raised."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pages", nargs="*", type=Path, help="pages to execute; all of docs/ by default")
    parser.add_argument("--jobs", type=int, default=2, help="how many pages at a time (default: 2)")
    parser.add_argument("--timeout", type=int, default=300, help="seconds a cell may take (default: 300)")
    options = parser.parse_args(arguments)
    if options.jobs < 1 or options.timeout < 1:
        parser.error(f"--jobs and --timeout must be at least 1, got {options.jobs} and {options.timeout}")

    pages = [page.resolve() for page in options.pages] or page_sources()
    todo = [page for page in pages if not executed_path(page).exists()]
    print(f"{len(pages)} pages, {len(pages) - len(todo)} up to date")

    def work(page: Path) -> bool:
        start = time.monotonic()
        try:
            executed(page, options.timeout)
        except CellExecutionError as error:
            print(f"FAILED {page.relative_to(ROOT)}\n{error}", file=sys.stderr)
            return False
        print(f"executed {page.relative_to(ROOT)} in {time.monotonic() - start:.1f} s", flush=True)
        return True

    with ThreadPoolExecutor(options.jobs) as pool:
        return 0 if all(list(pool.map(work, todo))) else 1


if __name__ == "__main__":
    sys.exit(main())
