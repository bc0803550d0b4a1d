"""Take a picture of an HTML page in a browser without a display, for the docs and to look at a page in all its forms.

Usage: python benchmarks/screenshot.py PAGE.html PICTURE.png [--dark] [--size WIDTHxHEIGHT]

Needs Chromium or Chrome; the variable BROWSER names another program of that kind. The picture has a palette, which keeps it small
enough for a repository.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image

from adaptive_mbrl.errors import EXIT_MISTAKE, ConfigError
from adaptive_mbrl.storage import write_bytes_atomically

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SECONDS = 120
COLOURS = 128


def screenshot(page: Path, picture: Path, size: tuple[int, int], *, dark: bool) -> None:
    """Write the picture of a page.

    Args:
        page: the page.
        picture: the PNG file.
        size: width and height of the window [pixels].
        dark: whether the reader prefers dark pages.

    Raises:
        ConfigError: there is no browser, or it draws nothing.
    """
    browser = os.environ.get("BROWSER") or next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise ConfigError(f"no browser is installed; allowed: {', '.join(BROWSERS)}, or the variable BROWSER")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "page.png"
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--user-data-dir={folder}/profile",
            f"--window-size={size[0]},{size[1]}",
            f"--screenshot={out}",
        ]
        subprocess.run([browser, *flags, page.resolve().as_uri()], capture_output=True, timeout=SECONDS, check=False)
        if not out.is_file():
            raise ConfigError(f"{browser} drew no picture of {page}")
        content = BytesIO()
        image = Image.open(out).convert("RGB").quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        image.save(content, "png", optimize=True)
    write_bytes_atomically(picture, content.getvalue())


def main() -> None:
    """Read the flags and take the picture."""
    parser = argparse.ArgumentParser(description="Take a picture of an HTML page in a browser without a display.")
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--size", default="1200x1600", metavar="WIDTHxHEIGHT")
    given = parser.parse_args()
    width, _, height = given.size.partition("x")
    try:
        screenshot(given.page, given.picture, (int(width), int(height)), dark=given.dark)
    except (ConfigError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)


if __name__ == "__main__":
    main()
