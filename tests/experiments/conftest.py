"""What the tests of experiments share: models trained once a module, small records, and their rendering."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tutorial_pkg.experiments import Context, Experiment, run_cell
from tutorial_pkg.figures import Renderer
from tutorial_pkg.records import Record, read_record, write_record

VALUE_KEY = re.compile(r"[\w+-]+(\.[\w+-]+)+")  # what the pages' {{ … }} accept


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Context:
    return Context(cache=tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def small_records(context, tmp_path) -> Callable[..., list[Record]]:
    """Computes an experiment's quick records, with changes to the configuration, and reads them back from disk."""

    def compute(experiment: Experiment, **changes: object) -> list[Record]:
        cells = experiment.cells(replace(experiment.configs["quick"], **changes))
        records = [run_cell(experiment, "quick", name, cell, context) for name, cell in cells.items()]
        return [read_record(write_record(tmp_path / "records", record)) for record in records]

    return compute


@pytest.fixture
def generated(tmp_path) -> Path:
    """The folder of what `rendered` renders."""
    return tmp_path / "generated"


@pytest.fixture
def rendered(generated) -> Callable[..., Renderer]:
    """Renders an experiment's records; a page can quote every value."""

    def render(experiment: Experiment, records: list[Record]) -> Renderer:
        output = Renderer(generated, experiment.name, records)
        experiment.render(records, output)
        assert all(VALUE_KEY.fullmatch(key) for key in output.values)
        return output

    return render
