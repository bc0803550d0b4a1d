"""A headless Chromium for tests of pages: an installed one, driven by Playwright's Python package."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# a container may be its own sandbox; without a GPU the scene is drawn by software
FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
PATIENCE = 120_000
"""How long to wait for what must come [milliseconds]; a busy machine is no failure."""
HARMLESS = ("THREE.Clock: This module has been deprecated",)
"""Warnings of the page's own libraries."""


def chromium() -> str | None:
    """The browser: what the environment variable CHROMIUM names, else an installed one."""
    named = os.environ.get("CHROMIUM")
    return named or next((path for name in NAMES if (path := shutil.which(name))), None)


@contextlib.contextmanager
def browser_page(width: int = 1200, height: int = 700) -> Iterator[tuple[Page, list[str]]]:
    """An empty page, and the list that its warnings and errors are added to; skips the test where there is no browser."""
    found = chromium()
    if found is None:
        pytest.skip(f"no Chromium here: none of {', '.join(NAMES)} is installed, and CHROMIUM names none")
    playwright = pytest.importorskip("playwright.sync_api")
    problems: list[str] = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=list(FLAGS))
        page = browser.new_page(viewport={"width": width, "height": height})
        page.on(
            "console",
            lambda m: problems.append(m.text) if m.type in ("error", "warning") and not m.text.startswith(HARMLESS) else None,
        )
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: problems.append(str(error)))
        # whatever is not on this machine is not there: the page has to work offline
        page.route(
            lambda url: not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "blob:", "data:")),
            lambda route: route.abort(),
        )
        page.on("requestfailed", lambda request: problems.append(f"asked for {request.url}"))
        yield page, problems
        browser.close()


def pixels(page: Page, element: Locator) -> np.ndarray:
    """What a part of the page looks like now, (height, width, 3) 0 to 255."""
    box = element.bounding_box()
    assert box is not None
    picture = page.screenshot(clip=box, timeout=PATIENCE)
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
