"""The page of a bridge in a real browser, with robot, bridge and page in processes of their own, over Cyclone DDS."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import String
from tests.bridge.watched_robot import write_bridge

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("viser")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]
DOMAIN = 120 + os.getpid() % 100
PATIENCE = 60
"""Seconds for what takes about five."""
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
SCENARIO = "robot: cartpole\nsteps: 100000\n"
STATE, COVER = "document.querySelector('#state')", "getComputedStyle(document.querySelector('#cover')).opacity"


class Command:
    """A sub-command in a process of its own, in the tests' domain."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "adaptive_mbrl", *arguments, "--domain", str(DOMAIN)]
        # what they print is not read, and must not fill a pipe
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.stderr.close()


@pytest.fixture
def commands(tmp_path: Path, make_checkpoint: Callable[..., Path]) -> Iterator[dict[str, Command]]:
    """A simulated robot, its bridge, and the page."""
    bridge, scenario = write_bridge(tmp_path, make_checkpoint(tmp_path / "checkpoint")), tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO)
    with ExitStack() as stack:

        def start(*arguments: str) -> Command:
            command = Command(*arguments)
            stack.callback(command.close)
            return command

        yield {
            "robot": start("simulated-robot", "--bridge", str(bridge), "--scenario", str(scenario)),
            "bridge": start("bridge", "--bridge", str(bridge)),
            "view": start("view", "--bridge", str(bridge), "--port", str(port_of_the_page())),
        }


@pytest.fixture
def page() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1500, "height": 950})
        opened.set_default_timeout(1e3 * PATIENCE)
        opened.errors = []
        opened.on("pageerror", lambda error: opened.errors.append(str(error)))
        opened.on("console", lambda said: opened.errors.append(said.text) if said.type == "error" else None)
        yield opened
        browser.close()


def test_a_user_watches_stops_clears_and_starts_again(commands: dict[str, Command], page: Any):
    open_page(page)
    wait_for_title(page, "running")
    assert "slide" in page.inner_text("body")
    assert page.evaluate(COVER) == "0"

    with States() as states:
        click(page, "EMERGENCY STOP")
        # at the bridge itself, not only on the page
        states.wait_for("estop")
        wait_for_title(page, "estop")
        wait_for_text(page, r"estop \([\d.]+ s ago, answered in \d+ ms\)")

        click(page, "Activate")
        wait_for_text(page, "refused: cannot activate in state 'estop'; call clear_estop first")
        click(page, "Clear emergency stop")
        wait_for_title(page, "inactive")
        click(page, "Activate")
        wait_for_title(page, "running")
        click(page, "Deactivate")
        states.wait_for("inactive")
        wait_for_title(page, "inactive")

    assert page.errors == []


def test_what_is_not_heard_any_more_is_not_shown_as_present(commands: dict[str, Command], page: Any):
    open_page(page)
    wait_for_title(page, "running")

    commands["bridge"].signal(signal.SIGSTOP)
    wait_for_title(page, "nothing heard for")
    assert "Its last state was 'running'. What the robot does now is not known." in page.evaluate(f"{STATE}.innerText")
    # a bridge that cannot answer has not been stopped, and the page says so
    click(page, "EMERGENCY STOP")
    wait_for_text(
        page, r"NOT CONFIRMED \([\d.]+ s ago\): service '/adaptive_mpc/estop': no answer within 2 s; use the robot's own"
    )
    commands["bridge"].signal(signal.SIGCONT)
    wait_for_title(page, "estop")

    # the program behind the page hangs: the browser covers the state by itself
    commands["view"].signal(signal.SIGSTOP)
    page.wait_for_function(f"{COVER} == '1'")
    commands["view"].signal(signal.SIGCONT)
    page.wait_for_function(f"{COVER} == '0'")
    assert page.errors == []


def test_mistakes_are_one_line(tmp_path: Path, make_checkpoint: Callable[..., Path]):
    bridge = str(write_bridge(tmp_path, make_checkpoint(tmp_path / "checkpoint")))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for arguments, expected in (
            (["--bridge", bridge, "--port", str(taken.getsockname()[1])], "address already in use"),
            (["--bridge", str(tmp_path / "none.yaml")], "none.yaml"),
            (
                ["--bridge", bridge, "--interface", "nowhere0", "--port", str(port_of_the_page())],
                "DDS cannot start on 'nowhere0'",
            ),
        ):
            command = Command("view", *arguments)
            _, said = command.process.communicate(timeout=PATIENCE)
            assert command.process.returncode == 2
            assert expected in said.splitlines()[-1]


class States:
    """What the bridge itself says about its state."""

    def __enter__(self) -> States:
        self._said: list[str] = []
        self._transport = DdsTransport(DOMAIN)
        self._transport.subscribe(
            "/adaptive_mpc/state", String, lambda message, at: self._said.append(message.data), reliable=True
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._transport.close()

    def wait_for(self, state: str) -> None:
        from tests.bridge.waiting import wait_until

        wait_until(lambda: self._said[-1:] == [state])


def open_page(page: Any) -> None:
    from tests.bridge.waiting import wait_until

    def is_served() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port_of_the_page())) == 0

    wait_until(is_served)
    page.goto(f"http://127.0.0.1:{port_of_the_page()}")
    page.wait_for_function(f"{STATE} != null")


def port_of_the_page() -> int:
    return 20000 + os.getpid() % 10000


def wait_for_title(page: Any, title: str) -> None:
    page.wait_for_function(f"{STATE}.innerText.startsWith({title!r})")


def wait_for_text(page: Any, pattern: str) -> None:
    page.wait_for_function("pattern => new RegExp(pattern).test(document.body.innerText)", arg=pattern)
    assert re.search(pattern, page.inner_text("body"))


def click(page: Any, label: str) -> None:
    page.get_by_role("button", name=label).click()
