"""The process that draws a video.

MuJoCo chooses its renderer when it is imported, and a bad driver can end the process. So the drawing happens in a process of its
own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from adaptive_mbrl.errors import EXIT_MISTAKE, AdaptiveMBRLError
from sim.evaluation.renderers import available_renderers

NO_RENDERER = "no renderer works here; install libegl1 or libosmesa6 (see `adaptive-mbrl info`)"


class VideoError(AdaptiveMBRLError):
    """A video cannot be made here."""


def require_renderer(flag: str) -> None:
    """Refuse a flag that asks for a video where none can be made.

    Raises:
        VideoError: there is no renderer.
    """
    if pick_renderer() is None:
        raise VideoError(f"{flag}: {NO_RENDERER}")


def pick_renderer() -> str | None:
    """The value of MUJOCO_GL to use: the user's own one if it works, else the first one that works; None if none does."""
    working = available_renderers()
    wanted = os.environ.get("MUJOCO_GL", "")
    return wanted if wanted in working else next(iter(working), None)


def draw(
    path: Path, module: str, job_name: str, write_job: Callable[[Path], None], renderer: str | None, progress: Callable[[], None]
) -> None:
    """Let a process draw a video.

    Args:
        path: the mp4 file; an old one is replaced when the new one is complete.
        module: the module that draws: it gets the names of the job's file and of the video's, and prints a line for every frame.
        job_name: name of the job's file.
        write_job: function that writes that file.
        renderer: the value of MUJOCO_GL; None leaves it as it is.
        progress: called after every frame.

    Raises:
        VideoError: it failed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".video.") as folder:
        job, out = Path(folder) / job_name, Path(folder) / "out.mp4"
        write_job(job)
        run_drawing([sys.executable, "-P", "-m", module, str(job), str(out)], renderer, progress)
        shutil.move(out, path)


def run_drawing(command: Sequence[str], renderer: str | None, progress: Callable[[], None]) -> None:
    """Run the process that draws.

    Args:
        command: the command; it prints a line for every frame.
        renderer: the value of MUJOCO_GL; None leaves it as it is.
        progress: called after every frame.

    Raises:
        VideoError: it failed.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYOPENGL_PLATFORM"}
    environment |= {} if renderer is None else {"MUJOCO_GL": renderer}
    # with -P and this path, the same packages are imported as here, whatever lies in the user's folder
    environment["PYTHONPATH"] = os.pathsep.join(p or os.getcwd() for p in sys.path)
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None
        try:
            for _ in process.stdout:
                progress()
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            errors.seek(0)
            lines = errors.read().split("\n")
            reason = next((line for line in reversed(lines) if line.strip()), f"exit code {process.returncode}")
            # a mistake of the robot's is none of the renderer's
            who = "" if process.returncode == EXIT_MISTAKE else f"the renderer '{renderer}' failed: "
            raise VideoError(f"{who}{reason.strip()}")
