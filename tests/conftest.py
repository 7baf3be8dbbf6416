"""Fixtures for all tests; every shape annotation of the package is checked while they run."""

from pathlib import Path

import pytest
from jaxtyping import install_import_hook

import tests.typechecker  # noqa: F401  (the hook looks it up by name)

# Stays installed: it takes effect at the first import of each module of the package.
install_import_hook("tutorial_pkg", "tests.typechecker.check")

from tutorial_pkg.data import Dataset, data_root, load_digits, load_mnist  # noqa: E402


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_digits()


@pytest.fixture(scope="session")
def mnist() -> Dataset:
    if not (data_root() / "MNIST" / "raw").is_dir():
        pytest.skip("MNIST is not here; set TUTORIAL_DATA to a folder that has MNIST/raw")
    return load_mnist()


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parent.parent
