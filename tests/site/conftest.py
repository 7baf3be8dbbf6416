"""What the tests of the site share: the built site and a browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@pytest.fixture(scope="session")
def site(repository: Path) -> Path:
    """The built site; `make test` builds it first."""
    if not (repository / "site" / "index.html").exists():
        pytest.skip("the site is not built: run make site")
    return repository / "site"


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A Chromium of this machine, driven by Playwright."""
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser to look at the site with; looked for {', '.join(BROWSERS)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()
