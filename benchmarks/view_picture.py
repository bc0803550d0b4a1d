"""Take the picture of `docs/view.md`: the live view of the demonstration, some seconds after a motor was wired backwards.

Usage: python benchmarks/view_picture.py [PICTURE [CHECKPOINT]]

Needs Chromium (found by name, or named by the environment variable CHROMIUM) and the packages viser and playwright.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from adaptive_mbrl.errors import EXIT_MISTAKE
from adaptive_mbrl.storage import write_bytes_atomically

CHECKPOINT = "half_cheetah"
COMMAND = ("view", "--scenario", "half_cheetah/demo", "--port", "8097", "--checkpoint")
PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "view.png"
SECOND = 13
"""Of the simulation; the demonstration's last change comes at 10 s."""
WIDTH, HEIGHT = 1600, 900
COLOURS = 256
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
_PATIENCE = 600_000  # milliseconds; without a GPU a slow machine takes its time


def main(picture: Path = PICTURE, checkpoint: str = CHECKPOINT) -> None:
    """Write the picture.

    Args:
        picture: the PNG file; an older one is replaced.
        checkpoint: name or folder of a half-cheetah's checkpoint.

    Raises:
        FileNotFoundError: there is no Chromium, or the view did not start.
    """
    browser = find_browser()
    command = [sys.executable, "-m", "adaptive_mbrl", *COMMAND, checkpoint]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as view:
        assert view.stdout is not None
        opened = re.match(r"Open (\S+)", view.stdout.readline())
        try:
            if opened is None:
                raise FileNotFoundError("the view did not start; its message stands above")
            taken = screenshot(browser, opened.group(1))
        finally:
            view.terminate()
    content = BytesIO()
    Image.open(BytesIO(taken)).convert("RGB").quantize(COLOURS).save(content, "png", optimize=True)
    write_bytes_atomically(picture, content.getvalue())


def find_browser() -> str:
    """The path of Chromium.

    Raises:
        FileNotFoundError: there is none.
    """
    browser = os.environ.get("CHROMIUM") or next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise FileNotFoundError(f"no Chromium: none of {', '.join(BROWSERS)} is installed, and CHROMIUM names none")
    return browser


def screenshot(browser: str, address: str) -> bytes:
    """What the page shows at the time of the picture, as a PNG."""
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, args=list(FLAGS))
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(_PATIENCE)
        page.goto(address)
        clock = "() => parseFloat(document.querySelector('div[data-name=clock]')?.innerText ?? '0')"
        page.wait_for_function(f"second => ({clock})() >= second", arg=SECOND)
        page.get_by_role("button", name="Pause", exact=True).click()
        page.wait_for_function("() => document.querySelector('div[data-name=clock]').innerText.includes('paused')")
        # viser warns where the scene is drawn without a GPU
        for close in page.locator(".mantine-Notification-closeButton").all():
            close.click()
        page.mouse.move(0, 0)
        taken = page.screenshot()
        chromium.close()
    return taken


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:2]), *sys.argv[2:3])
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)
