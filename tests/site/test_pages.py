"""Every literate page is a plain script that runs on the bundled digits, and is executed once for the site."""

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import execute_pages
import nbformat
import pytest
from execute_pages import execute, executed, executed_path, package_key, page_key, page_sources, read_page
from nbclient.exceptions import CellExecutionError

PAGES = page_sources()
NAMES = [page.stem for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_page_runs_as_a_script(page: Path, tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    environment.pop("TUTORIAL_DATA", None)
    run = subprocess.run(
        [sys.executable, "-W", "ignore::UserWarning", str(page)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_page_has_a_title_and_no_magics(page: Path) -> None:
    cells = read_page(page).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    for cell in cells:
        if cell.cell_type == "code":
            assert not re.search(r"^\s*[%!]", cell.source, re.MULTILINE)


def wide_lines(page: Path) -> list[str]:
    """Return the lines of code for which the page's column is too narrow."""
    code = [cell.source for cell in read_page(page).cells if cell.cell_type == "code"]
    return [line for source in code for line in source.splitlines() if len(line) > 79]


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_code_fits_into_its_column(page: Path) -> None:
    assert not wide_lines(page)


def test_wide_code_is_found(tmp_path: Path) -> None:
    page, fits, wide = tmp_path / "page.py", "x" * 79, "x" * 80
    page.write_text(f'# %% [markdown]\n# # {wide}\n\n# %% alt="{wide}"\n{fits}\n{wide}\n')
    assert wide_lines(page) == [wide]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(execute_pages, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def test_page_is_executed_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.py"
    page.write_text("# %% [markdown]\n# # Page\n\n# %%\nprint(6 * 7)\n")
    first = executed(page)
    assert first.cells[1].outputs[0].text == "42\n"
    monkeypatch.setattr(execute_pages, "execute", lambda *_: pytest.fail("executed again"))
    assert executed(page) == nbformat.read(executed_path(page), as_version=4)
    page.write_text(page.read_text() + "print('more')\n")
    assert not executed_path(page).exists()


def test_figures_have_reproducible_bytes() -> None:
    source = "# %%\nimport matplotlib.pyplot as plt\nplt.plot([1, 2], label='a'); plt.legend(); plt.show()\n"
    runs = []
    for _ in range(2):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        runs.append(execute(notebook).cells[0].outputs[-1].data["image/svg+xml"])
    assert runs[0] == runs[1]


def test_cell_that_raises_is_not_kept(tmp_path: Path, cache: Path) -> None:
    page = tmp_path / "page.py"
    page.write_text("# %% [markdown]\n# # Page\n\n# %%\nraise RuntimeError('no')\n")
    with pytest.raises(CellExecutionError) as caught:
        executed(page)
    assert (caught.value.ename, caught.value.evalue) == ("RuntimeError", "no")
    assert not list(cache.glob("*"))


def test_key_depends_on_the_files_that_a_cell_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute_pages, "ROOT", tmp_path)
    page, data = tmp_path / "page.py", tmp_path / "results" / "a.json"
    page.write_text("# %%\nopen('results/a.json')\n")
    data.parent.mkdir()
    data.write_text("1")
    before = page_key(page)
    data.write_text("2")
    assert page_key(page) != before


def test_key_depends_on_the_code_that_a_page_uses_and_on_no_other() -> None:
    by_name = package_key("from tutorial_pkg.data import load_digits")
    assert by_name != package_key("from tutorial_pkg.data import split_halves")
    assert by_name == package_key("from tutorial_pkg.data import load_digits  # the bundled ones")
    whole = package_key("from tutorial_pkg import data")
    assert whole == package_key("import tutorial_pkg.models as models")
    assert whole != package_key("from tutorial_pkg.attacks import minimum_distortion")  # not the module of that name


def test_kernels_side_by_side_share_nothing() -> None:
    def answer(number: int) -> str:
        source = f"import time; time.sleep(1); print({number})"
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        return execute(notebook).cells[0].outputs[0].text

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(answer, range(4))) == ["0\n", "1\n", "2\n", "3\n"]
