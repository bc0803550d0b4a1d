"""Two network namespaces, which are two machines as far as networks go, with a line between them that can be bad."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from network_line import Line

LINE = Path(__file__).with_name("network_line.py")
SIDES = ("robot", "controller")
INTERFACE = "eth0"
"""Name of the network interface in both namespaces."""


class Machines:
    """The namespaces of one line.

    Args:
        line: what the network between them does.
        seed: of its chance.
    """

    def __init__(self, line: Line, seed: int = 0) -> None:
        self._line, self._seed = line, seed

    def start(self, side: str, *command: str, **options: object) -> subprocess.Popen[str]:
        """Start a Python process on one of the machines; `options` are those of Popen."""
        full = ["ip", "netns", "exec", _name(side), sys.executable, *command]
        return subprocess.Popen(full, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload]

    @contextmanager
    def connected(self) -> Iterator[Machines]:
        """Make namespaces, cables and line; all of them are gone afterwards."""
        for name in ("line", *SIDES):
            _ip("netns", "add", _name(name))
        try:
            for number, side in enumerate(SIDES, start=1):
                _cable(side, f"10.77.0.{number}/24")
            settings = [f"--{key}={value}" for key, value in asdict(self._line).items()]
            line = self.start("line", str(LINE), *SIDES, *settings, f"--seed={self._seed}")
            try:
                if line.stdout is None or line.stdout.readline() != "ready\n":
                    raise RuntimeError(f"the line did not start: {line.communicate()[1]}")
                yield self
            finally:
                line.kill()
                line.communicate()
        finally:
            for name in ("line", *SIDES):
                subprocess.run(["ip", "netns", "del", _name(name)], capture_output=True)


def _name(side: str) -> str:
    return f"kit{os.getpid()}{side[0]}"


def _cable(side: str, address: str) -> None:
    """A cable from a machine to the line; the line's end has the name of the machine."""
    _ip("link", "add", side, "netns", _name("line"), "type", "veth", "peer", "name", INTERFACE, "netns", _name(side))
    for space, interface in ((_name(side), INTERFACE), (_name("line"), side), (_name(side), "lo")):
        _ip("-n", space, "link", "set", interface, "up")
    _ip("-n", _name(side), "addr", "add", address, "dev", INTERFACE)
    switch_off = [sys.executable, str(LINE), "--software-checksums", INTERFACE]
    subprocess.run(["ip", "netns", "exec", _name(side), *switch_off], check=True)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
