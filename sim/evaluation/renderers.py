"""Which of MuJoCo's renderers work on this machine."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

# values of MUJOCO_GL, the variable that MuJoCo reads; those that use hardware come first
RENDERERS = ("egl", "osmesa", "glfw")

_PROBE = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 16, 16).render()"


def available_renderers() -> list[str]:
    """The values of MUJOCO_GL that can draw here.

    Each is tried once, in a process of its own: MuJoCo chooses at import, and a bad driver can end the process.
    """
    return [name for name in RENDERERS if _can_render(name)]


@functools.cache
def _can_render(name: str) -> bool:
    environment = {k: v for k, v in os.environ.items() if k != "PYOPENGL_PLATFORM"} | {"MUJOCO_GL": name}
    try:
        probe = subprocess.run([sys.executable, "-c", _PROBE], env=environment, capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0
