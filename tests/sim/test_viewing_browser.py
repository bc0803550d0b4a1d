"""The live view of a simulation in a real browser: it shows the robot, and its sliders and switches reach the simulation."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.browsing import PATIENCE, browser_page, pixels
from tests.sim.conftest import MakeCheckpoint

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def address(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> Iterator[str]:
    checkpoint = make_checkpoint(tmp_path / "quadrotor", robot="quadrotor")
    command = [sys.executable, "-m", "adaptive_mbrl", "view", "--checkpoint", str(checkpoint), "--port", str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        opened = re.match(r"Open (http://\S+) in a browser; Ctrl-C ends this command\.$", line)
        assert opened, line + process.communicate()[1]
        yield opened.group(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (130, "", "interrupted\n")


def status(page: Page, name: str, pattern: str) -> str:
    """Wait until the table says something of this kind about `name`, and return it."""
    program = """([name, pattern]) => {
        const cells = document.querySelectorAll(`div[data-name="${name}"]`);
        return [...cells].map(cell => cell.innerText).find(text => new RegExp(pattern).test(text)) || null;
    }"""
    return page.wait_for_function(program, arg=[name, pattern], timeout=PATIENCE).json_value()


def num_orange(picture: np.ndarray) -> int:
    red, green, blue = (picture[..., i].astype(int) for i in range(3))
    return int(((red > 150) & (red - green > 30) & (green - blue > 30)).sum())


def slider_number(page: Page, label: str):
    """The number field beside a slider."""
    return page.locator(f"xpath=//label[normalize-space(.)='{label}']/ancestor::*[.//input][1]//input[@type='text']")


def test_the_page_shows_the_robot_and_reaches_the_simulation(address: str):
    with browser_page() as (page, problems):
        page.goto(address)
        page.get_by_text("Who acts").wait_for(timeout=PATIENCE)
        canvas = page.locator("canvas").first
        status(page, "clock", r"^0\.[3-9]|^[1-9]")
        # the picture fades in, and the robot's front is orange
        assert any(num_orange(pixels(page, canvas)) > 30 for _ in range(20))

        field = slider_number(page, "rotor_1")
        field.fill("0.5")
        field.press("Enter")
        assert status(page, "dynamics", "rotor_1") == "actuator gain rotor_1 0.5"

        page.get_by_role("button", name="Pause", exact=True).click()
        status(page, "clock", "paused")
        page.get_by_role("button", name="Back to the nominal robot").click()
        assert status(page, "dynamics", "nominal") == "nominal"
        page.wait_for_function(
            "field => field.value === '1'", arg=slider_number(page, "rotor_1").element_handle(), timeout=PATIENCE
        )
        page.get_by_role("button", name="Continue", exact=True).click()

        page.locator("input[value='adaptive']").first.click()
        page.get_by_role("option", name="oracle").click()
        assert status(page, "acting", "oracle") == "oracle"
        status(page, "events", "the oracle acts: it plans in the simulator under the true dynamics, and begins without a plan")
        assert problems == []
