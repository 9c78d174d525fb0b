"""A browser for all tests of this folder, and what it looks at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from slipstream.app.slipstream import Slipstream
from tests.browser.looking import Look
from tests.browser.world import Site, enrich, fill, opened, serving

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Chromium of the operating system; nothing is downloaded."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        told = "Chromium is not installed: tests/services/chromium.sh does it"
        if os.environ.get("CI") or os.environ.get("SLIPSTREAM_BROWSER") == "required":
            pytest.fail(told)
        pytest.skip(told)
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A browser; Playwright's event loop runs in this thread as long, where tests of asyncio find none."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slipstream]:
    """A PKG with something for each page; tests look at it, and change nothing."""
    with opened(tmp_path_factory.mktemp("rich")) as slip:
        fill(slip)
        enrich(slip)
        yield slip


@pytest.fixture(scope="session")
def site(chromium: str, rich: Slipstream) -> Iterator[Site]:
    """The server of the rich PKG."""
    del chromium  # without one nothing is served
    with serving({"rich": rich}) as found:
        yield found


@pytest.fixture
def slip(tmp_path: Path, browser: Browser) -> Iterator[Slipstream]:
    """A PKG of the test's own."""
    del browser
    with opened(tmp_path / "pkg") as found:
        fill(found)
        yield found


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Look]]:
    """Open the console: `look(url, width=…, scheme=…)`; at the end nothing may have gone wrong in the browser."""
    with ExitStack() as stack:
        looks: list[Look] = []

        def opening(url: str, **options: Any) -> Look:
            looks.append(stack.enter_context(Look.at(browser, url, **options)))
            return looks[-1]

        yield opening
        for each in looks:
            each.check_nothing_went_wrong()
