"""A colcon workspace with nothing but this package in it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.ros.robot import PATIENCE, ROOT

NO_COLCON = pytest.mark.skipif(
    not (shutil.which("colcon") and shutil.which("ros2")),
    reason="colcon or ros2 is not on the PATH: nothing can be built or launched",
)
CONTENT = "adaptive_mbrl configs launch resource robot_bridge sim README.md package.xml pyproject.toml setup.cfg setup.py".split()


class Workspace(NamedTuple):
    """A built one.

    Attributes:
        folder: with `src`, `install` and `log`.
        output: what colcon printed.
    """

    folder: Path
    output: str

    @classmethod
    def build(cls, folder: Path, *flags: str) -> Workspace:
        """Copy this package into a new workspace and build it."""
        source = folder / "src" / "adaptive_mbrl"
        source.mkdir(parents=True)
        for name in CONTENT:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, source)
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        told = subprocess.run(
            ["colcon", "build", *flags],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=10 * PATIENCE,
        )
        assert told.returncode == 0, told.stdout
        return cls(folder, told.stdout)

    @contextmanager
    def start(self, *command: str) -> Iterator[subprocess.Popen[str]]:
        """A process with the workspace sourced; its Python is the one of the tests, which has torch.

        It has a session of its own, of which nothing is left at the end.
        """
        # the package as it is installed, not as it lies in the repository
        path = ":".join(p for p in os.environ.get("PYTHONPATH", "").split(":") if p and Path(p).resolve() != ROOT)
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": path,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        shell = ["bash", "-c", '. install/setup.bash && exec "$@"', "bash", *command]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(shell, **streams, cwd=self.folder, env=environment, text=True, start_new_session=True) as process:
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """The same, to its end."""
        with self.start(*command) as process:
            printed, mistakes = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(command, process.returncode, printed, mistakes)
