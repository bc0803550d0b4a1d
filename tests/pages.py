"""Pages of docs/ whose commands and code are run from top to bottom, as a reader would.

A comment directly before a block says what a test cannot guess:

    <!-- test: skip, WHY -->                      the block is not run
    <!-- test: own terminal until "TEXT" -->      it goes on in the background; the next block comes once it has printed TEXT
    <!-- test: Ctrl-C after 3 x "TEXT" -->        it gets Ctrl-C once it has printed TEXT so often
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?:^<!-- test: (?P<mark>.*?) -->\n+)?^```(?P<language>\w*)\n(?P<text>.*?)^```", flags=re.S | re.M)
FILE = re.compile(r"(?:#|<!--) (\w+\.(?:ya?ml|xml|py))\b")
MARK = re.compile(r'skip, .+|own terminal until "(?P<ready>.+)"|Ctrl-C after (?:(?P<times>\d+) x )?"(?P<seen>.+)"')
PATIENCE = 900
"""Seconds for any one command; the slowest takes a minute on a quiet machine, and many on a busy one."""


class Block(NamedTuple):
    """A block of a page, with its comment for tests."""

    mark: str
    language: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order; a mark that is none is an error."""
    blocks = [Block(m["mark"] or "", m["language"], m["text"]) for m in BLOCK.finditer(page.read_text(encoding="utf-8"))]
    for block in blocks:
        assert not block.mark or MARK.fullmatch(block.mark), f"{page.name}: no mark is called {block.mark!r}"
    return blocks


class Terminal:
    """A command of a page that runs, and what it has printed."""

    def __init__(self, command: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.command = command
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=folder,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C reaches all processes of a terminal
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                with self._news:
                    self.lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Returns once the command has printed a text so often."""

        def enough() -> bool:
            return sum(text in line for line in self.lines) >= times or not self._reader.is_alive()

        with self._news:
            self._news.wait_for(enough, timeout=PATIENCE)
            assert sum(text in line for line in self.lines) >= times, self.report(f"{times} x {text!r} did not come")

    def interrupt(self) -> None:
        """Ctrl-C, unless the command has ended."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)

    def end(self) -> None:
        """Waits for the end of the command, which has to be a good one."""
        code = self._process.wait(timeout=PATIENCE)
        self._reader.join(PATIENCE)
        assert code == 0, self.report(f"exit code {code}")

    def kill(self) -> None:
        """Leaves nothing behind."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(PATIENCE)

    def report(self, what: str) -> str:
        return f"{self.command}\n{what}\n{''.join(self.lines[-40:])}"


@contextmanager
def terminals() -> Iterator[list[Terminal]]:
    """Commands in terminals of their own; Ctrl-C ends those that still run at the end of the page."""
    running: list[Terminal] = []
    try:
        yield running
        for terminal in reversed(running):
            terminal.interrupt()
            terminal.end()
    finally:
        for terminal in running:
            terminal.kill()


def environment() -> dict[str, str]:
    """What commands of a page find: this checkout, the programs of this environment, a ROS 2 domain of their own."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "ROS_DOMAIN_ID": str(20 + os.getpid() % 100)}


def run_page(page: Path, folder: Path) -> str:
    """Does in a folder what a page says, with the shipped files beside it, and returns what its commands printed."""
    for name in ("configs", "examples"):
        (folder / name).symlink_to(ROOT / name)
    printed: list[str] = []
    with terminals() as others:
        for mark, language, text in blocks_of(page):
            if mark.startswith("skip, "):
                continue
            file = FILE.match(text)
            if file and language in ("yaml", "xml", "python"):
                (folder / file[1]).write_text(text, encoding="utf-8")
            elif language in ("sh", "python"):
                command = text if language == "sh" else f"python - <<'EOF'\n{text}\nEOF"
                terminal = Terminal(command, folder, environment())
                others.append(terminal)
                found = MARK.fullmatch(mark)
                if found and found["ready"]:
                    terminal.wait_for(found["ready"])
                    continue
                if found and found["seen"]:
                    terminal.wait_for(found["seen"], int(found["times"] or 1))
                    terminal.interrupt()
                terminal.end()
                others.remove(terminal)
                printed += terminal.lines
    return "".join(printed)
