"""Versions, device, threads and renderers, for bug reports, and the speed of the batched simulation."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
import time

import numpy as np
import torch

from adaptive_mbrl import __version__
from adaptive_mbrl.options import InfoOptions
from adaptive_mbrl.revision import git_revision
from sim.batch import BatchSimulation
from sim.dynamics import Dynamics
from sim.paths import known_configs
from sim.robot import load_robot

PACKAGES = ("torch", "mujoco", "mjbatch", "dm-control", "gymnasium", "numpy")
# the variable that MuJoCo reads, hardware first
RENDERERS = ("egl", "osmesa", "glfw")
BENCH_ROBOTS = 64
BENCH_SECONDS = 2.0

_PROBE = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 16, 16).render()"


def info(options: InfoOptions) -> None:
    """Print the report, one `key: value` a line, so that it can be pasted."""
    for key, value in describe().items():
        print(f"{key + ':':<16}{value}", flush=True)
    if options.bench_sim:
        for name in (options.robot,) if options.robot else known_configs("robots"):
            rate = env_steps_per_second(name)
            print(f"{name + ':':<16}{rate:,.0f} env steps/s ({BENCH_ROBOTS} robots of different masses)", flush=True)


def describe() -> dict[str, str]:
    """What a bug report needs, in reading order."""
    report = {
        "adaptive-mbrl": __version__,
        "git revision": git_revision() or "none (not a git checkout, or no commit yet)",
        "python": f"{platform.python_version()} ({sys.executable})",
        "platform": platform.platform(),
    }
    report |= {name: importlib.metadata.version(name) for name in PACKAGES}
    report["device"] = f"cuda: {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "cpu"
    report["threads"] = f"{torch.get_num_threads()} for torch, {len(os.sched_getaffinity(0))} cores usable"
    report["renderers"] = ", ".join(available_renderers()) or "none: no video; install libegl1 or libosmesa6"
    return report


def available_renderers() -> list[str]:
    """The values of MUJOCO_GL that can draw here.

    Each is tried in a process of its own: MuJoCo chooses at import, and a bad driver can end the process.
    """
    return [name for name in RENDERERS if _can_render(name)]


def _can_render(name: str) -> bool:
    environment = {k: v for k, v in os.environ.items() if k != "PYOPENGL_PLATFORM"} | {"MUJOCO_GL": name}
    try:
        probe = subprocess.run([sys.executable, "-c", _PROBE], env=environment, capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


def env_steps_per_second(robot_name: str) -> float:
    """Measured rate of control steps, summed over `BENCH_ROBOTS` robots with different body masses and random actions."""
    robot = load_robot(robot_name)
    simulation = BatchSimulation(robot, BENCH_ROBOTS)
    different = [Dynamics(body_mass=float(scale)) for scale in np.linspace(0.75, 1.25, BENCH_ROBOTS)]
    simulation.reset(range(BENCH_ROBOTS), different)
    low = np.array([a.low for a in robot.spec.action])
    high = np.array([a.high for a in robot.spec.action])
    rng = np.random.default_rng(0)
    actions = rng.uniform(low, high, size=(100, BENCH_ROBOTS, robot.spec.action_dim)).astype(np.float32)
    simulation.step(actions[0])
    steps, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < BENCH_SECONDS:
        simulation.step(actions[steps % len(actions)])
        steps += 1
    return steps * BENCH_ROBOTS / elapsed
