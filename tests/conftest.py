"""Fixtures for all tests; every shape annotation of the package is checked while they run."""

from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

import tests.typechecker  # noqa: F401  (the hook looks it up by name)
from tests import accelerator

accelerator.register()

# Stays installed: it takes effect at the first import of each module of the package.
install_import_hook("tutorial_pkg", "tests.typechecker.check")

from tutorial_pkg.data import Dataset, data_root, load_digits, load_mnist  # noqa: E402

# The same examples on every machine, however slow it is.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_digits()


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    raw = data_root() / "MNIST" / "raw"
    if len({path.stem for path in raw.glob("*-ubyte*")}) < 4:  # a failed download leaves an empty folder
        pytest.skip("MNIST is not here; set TUTORIAL_DATA to a folder that has MNIST/raw")
    return load_mnist()


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parent.parent
