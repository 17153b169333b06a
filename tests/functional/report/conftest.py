"""A real browser to look at reports."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # report_records

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; the test is skipped if the machine has none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright, which drives the browser, is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed; looked for {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


class Visitor:
    """Opens reports, and notes what they say in the console, ask in dialogs and request beyond files.

    Attributes:
        told: all of that.
    """

    def __init__(self, browser: Any) -> None:
        self.browser = browser
        self.told: list[str] = []
        self.contexts: list[Any] = []

    def __call__(self, path: Path, **options: Any) -> Any:
        self.contexts.append(self.browser.new_context(**options))
        page = self.contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("console", lambda message: self.told.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.told.append(f"error: {error}"))
        page.on("dialog", self._dialog)
        page.on("request", self._request)
        page.goto(path.resolve().as_uri())
        page.wait_for_selector("#samples-table tbody tr")
        return page

    def _dialog(self, dialog: Any) -> None:
        self.told.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.told.append(f"request: {request.url}")


@pytest.fixture
def visit(browser: Any) -> Iterator[Visitor]:
    """``visit(path, **options)`` opens a report; at the end no error was in its console and nothing was asked for but files."""
    visitor = Visitor(browser)
    yield visitor
    for context in visitor.contexts:
        context.close()
    assert visitor.told == []
