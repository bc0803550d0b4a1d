"""The page of a bridge in a real browser, with robot, bridge and page in processes of their own, over Cyclone DDS."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import String, TriggerRequest
from tests.bridge.waiting import wait_until
from tests.bridge.watched_robot import write_bridge
from tests.browsing import PATIENCE, browser_page

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest.importorskip("viser")
pytestmark = pytest.mark.browser
DOMAIN = 120 + os.getpid() % 100
SCENARIO = "robot: cartpole\nsteps: 100000\n"
TITLE, REASON = "#state > div", "#state > div + div"


class Commands:
    """A simulated robot, its bridge and the page, each a sub-command in a process of its own.

    Attributes:
        address: where the page is.
    """

    def __init__(self, bridge: Path, scenario: Path, stack: ExitStack) -> None:
        self._stack = stack
        files = ("--bridge", str(bridge))
        self._start("simulated-robot", *files, "--scenario", str(scenario))
        self.bridge = self._start("bridge", *files)
        self.view = self._start("view", *files, "--port", str(free_port()))
        said = self.view.stdout.readline()
        self.address = re.match(r"Open (http://\S+) in a browser", said).group(1)

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "adaptive_mbrl", *arguments, "--domain", str(DOMAIN)]
        # only the page's first line is read, and what nobody reads must not fill a pipe
        output = subprocess.PIPE if arguments[0] == "view" else subprocess.DEVNULL
        process = subprocess.Popen(command, stdout=output, text=True)
        self._stack.callback(end, process)
        return process


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        process.wait(PATIENCE / 1000)
    finally:
        process.kill()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("viewed")
    scenario = folder / "scenario.yaml"
    scenario.write_text(SCENARIO)
    with ExitStack() as stack:
        yield Commands(write_bridge(folder, make_checkpoint(folder / "checkpoint")), scenario, stack)


@contextmanager
def running_page(commands: Commands) -> Iterator[tuple[Page, list[str], list[str]]]:
    """The page of a robot that runs, its problems, and what the bridge itself says about its state."""
    transport, states = DdsTransport(DOMAIN), list[str]()
    transport.subscribe("/adaptive_mpc/state", String, lambda message, at: states.append(message.data), reliable=True)
    try:
        with browser_page(900, 800) as (page, problems):
            wait_until(lambda: states[-1:] == ["running"])
            page.goto(commands.address)
            wait_for(page, TITLE, "^running$")
            yield page, problems, states
        assert problems == []
    finally:
        transport.close()


def test_a_user_watches_stops_clears_and_starts_again(commands: Commands):
    with running_page(commands) as (page, _, states):
        wait_for(page, "body", "slide")
        click(page, "Override")
        wait_for(page, "body", "refused: no fault is waiting for a decision")
        click(page, "EMERGENCY STOP")
        # at the bridge itself, not only on the page
        wait_until(lambda: states[-1:] == ["estop"])
        wait_for(page, TITLE, "^estop$")
        wait_for(page, "body", r"estop \([\d.]+ s ago, answered in \d+ ms\)")

        click(page, "Activate")
        wait_for(page, "body", "refused: cannot activate in state 'estop'; call clear_estop first")
        click(page, "Clear emergency stop")
        wait_for(page, TITLE, "^inactive$")
        click(page, "Activate")
        wait_for(page, TITLE, "^running$")
        click(page, "Deactivate")
        wait_until(lambda: states[-1:] == ["inactive"])
        wait_for(page, TITLE, "^inactive$")
        click(page, "Activate")
        wait_for(page, TITLE, "^running$")


def test_what_is_not_heard_any_more_is_not_shown_as_present(commands: Commands):
    with running_page(commands) as (page, _, states):
        commands.bridge.send_signal(signal.SIGSTOP)
        wait_for(page, TITLE, r"^nothing heard for [\d.]+ s$")
        wait_for(page, REASON, "Its last state was 'running'. What the robot does now is not known.")
        # a bridge that cannot answer has not been stopped, and the page says so
        click(page, "EMERGENCY STOP")
        wait_for(
            page,
            "body",
            r"NOT CONFIRMED \([\d.]+ s ago\): service '/adaptive_mpc/estop': (no answer within 2 s|nobody serves it)",
        )
        commands.bridge.send_signal(signal.SIGCONT)
        # what was asked meanwhile may have reached it or not
        wait_for(page, TITLE, "^(?!nothing heard)")
        click(page, "EMERGENCY STOP")
        wait_until(lambda: states[-1:] == ["estop"])
        wait_for(page, TITLE, "^estop$")

        # the program behind the page hangs: the browser covers the state by itself
        commands.view.send_signal(signal.SIGSTOP)
        wait_for_cover(page, "1")
        commands.view.send_signal(signal.SIGCONT)
        wait_for_cover(page, "0")
    client = DdsTransport(DOMAIN)
    for service in ("clear_estop", "activate"):
        assert client.call(f"/adaptive_mpc/{service}", TriggerRequest(), PATIENCE / 1000).success
    client.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(page: Page, selector: str, pattern: str) -> None:
    """Wait until the text of an element is so; the elements are made anew all the time."""
    program = "([selector, pattern]) => new RegExp(pattern).test(document.querySelector(selector)?.innerText ?? '')"
    page.wait_for_function(program, arg=[selector, pattern], timeout=PATIENCE)


def wait_for_cover(page: Page, opacity: str) -> None:
    program = "opacity => getComputedStyle(document.querySelector('#cover')).opacity === opacity"
    page.wait_for_function(program, arg=opacity, timeout=PATIENCE)


def click(page: Page, label: str) -> None:
    page.get_by_role("button", name=label, exact=True).click(timeout=PATIENCE)
