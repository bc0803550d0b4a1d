"""Take the picture of `docs/view_bridge.md`: the page of a bridge of the simulated cart-pole, whose motor has become weaker.

Usage: python -m benchmarks.view_bridge_picture [BRIDGE_FILE] [PICTURE]

Needs Chromium (found by name, or named by the environment variable CHROMIUM), the packages viser and playwright, and a
machine that is fast enough for the bridge. A bridge file whose checkpoint has a diagnosis also shows the belief about the motor.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from adaptive_mbrl.errors import EXIT_MISTAKE
from adaptive_mbrl.storage import write_bytes_atomically
from benchmarks.view_picture import COLOURS, FLAGS, find_browser

ROOT = Path(__file__).resolve().parent.parent
DOMAIN, PORT = "97", "8098"
SCENARIO = "robot: cartpole\nsteps: 100000\nchanges:\n  - {at: 100, actuator_gain: 0.6}\n"
WATCHED_SECONDS = 20
"""How long the page runs before the picture is taken, so that its plots are full [s]."""
SETTLE_MILLISECONDS = 1500
"""Time for the browser to show what it has got already."""
WIDTH, HEIGHT = 1500, 880
_PATIENCE = 300_000  # milliseconds


def main(bridge: Path, picture: Path) -> None:
    """Run robot, bridge and page, and write the picture.

    Args:
        bridge: a bridge file of the cart-pole.
        picture: the PNG file; an older one is replaced.

    Raises:
        FileNotFoundError: there is no Chromium, or the page did not start.
    """
    browser = find_browser()
    with ExitStack() as stack:
        scenario = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "scenario.yaml"
        scenario.write_text(SCENARIO)
        files = ("--bridge", str(bridge), "--domain", DOMAIN)
        start(stack, "simulated-robot", *files, "--scenario", str(scenario))
        start(stack, "bridge", *files)
        view = start(stack, "view", *files, "--port", PORT)
        assert view.stdout is not None
        opened = re.match(r"Open (\S+)", view.stdout.readline())
        if opened is None:
            raise FileNotFoundError("the page did not start; its message stands above")
        taken = screenshot(browser, opened.group(1), view)
    content = BytesIO()
    Image.open(BytesIO(taken)).convert("RGB").quantize(COLOURS).save(content, "png", optimize=True)
    write_bytes_atomically(picture, content.getvalue())


def start(stack: ExitStack, *arguments: str) -> subprocess.Popen[str]:
    """A sub-command in a process of its own, which ends with the stack."""
    output = subprocess.PIPE if arguments[0] == "view" else subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, "-m", "adaptive_mbrl", *arguments], stdout=output, text=True)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process


def screenshot(browser: str, address: str, view: subprocess.Popen[str]) -> bytes:
    """What the page shows once the robot has run for a while, as a PNG."""
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, args=list(FLAGS))
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(_PATIENCE)
        page.goto(address)
        page.wait_for_timeout(1000 * WATCHED_SECONDS)
        # viser warns where the scene is drawn without a GPU
        for close in page.locator(".mantine-Notification-closeButton").all():
            close.click()
        page.mouse.move(0, 0)
        # the page stands still for its picture, without the cover that says so
        page.add_style_tag(content="#cover {animation: none !important}")
        state = "document.querySelector('#state > div')?.innerText"
        while True:
            page.wait_for_function(f"() => {state} === 'running'")
            view.send_signal(signal.SIGSTOP)
            page.wait_for_timeout(SETTLE_MILLISECONDS)
            still_running = page.evaluate(state) == "running"
            taken = page.screenshot() if still_running else b""
            view.send_signal(signal.SIGCONT)
            if taken:
                break
        chromium.close()
    return taken


if __name__ == "__main__":
    try:
        main(
            Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "configs" / "bridge" / "cartpole.yaml",
            Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs" / "images" / "view_bridge.png",
        )
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)
