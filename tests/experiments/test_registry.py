"""Every experiment is registered, configured for every profile, and shown on a page."""

import ast
import re
from dataclasses import is_dataclass, replace

import pytest

from tutorial_pkg.experiments import EXPERIMENTS, PROFILES

NAMES = sorted(EXPERIMENTS)


def test_every_module_with_an_experiment_is_registered(repository):
    for path in (repository / "tutorial_pkg" / "experiments").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if hasattr(t, "id")}
        if "EXPERIMENT" in names:
            assert path.stem in NAMES, f"add {path.stem} to EXPERIMENTS in experiments/__init__.py"


@pytest.mark.parametrize("name", NAMES)
def test_every_profile_has_cells_of_plain_values(name):
    experiment = EXPERIMENTS[name]
    assert experiment.name == name
    for profile in PROFILES:
        config = experiment.configs[profile]
        assert is_dataclass(config)
        assert config.__dataclass_params__.frozen
        assert profile != "quick" or config.dataset in ("digits", "photographs"), "quick needs no download"
        cells = experiment.cells(config)
        assert cells
        for cell, cell_config in cells.items():
            assert re.fullmatch(r"[\w.'+-]+", cell), f"{cell} is not fit for a file name"
            assert cell_config.__dataclass_params__.frozen
            assert isinstance(cell_config.dataset, str)


@pytest.mark.parametrize("name", NAMES)
def test_another_seed_is_another_cell(name):
    experiment = EXPERIMENTS[name]
    config = experiment.configs["laptop"]
    cells = experiment.cells(config)
    moved = experiment.cells(replace(config, seed=config.seed + 100))
    assert all(moved.get(cell) != config for cell, config in cells.items())


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_is_shown_on_a_page(name, repository):
    pages = [
        *(repository / "docs").glob("*.md"),
        *(repository / "docs").glob("*/*.py"),
        *(repository / "docs").glob("*/*.md"),
    ]
    shown = any(
        f'--8<-- "{name}/' in page.read_text(encoding="utf-8") for page in pages if "_generated" not in page.parts
    )
    assert shown, f'no page shows {name}: include its fragments with --8<-- "{name}/….md"'
