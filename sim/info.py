"""What a bug report needs (versions, device, threads, renderers), and the speed of the batched simulation."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time

import numpy as np
import torch

from adaptive_mbrl import __version__, realtime_limits
from adaptive_mbrl.control.compiled import why_not_compiled
from adaptive_mbrl.device import resolve_device
from adaptive_mbrl.options import InfoOptions
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.runtime import num_threads
from sim.evaluation.renderers import available_renderers
from sim.paths import known_configs
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.simulation.batch import BatchSimulation

PACKAGES = ("torch", "mujoco", "mjbatch", "dm-control", "gymnasium", "numpy")
BENCH_ROBOTS = 64
BENCH_SECONDS = 2.0


def info(options: InfoOptions) -> None:
    """Print the report, with one `key: value` per line, so that it can be pasted."""
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
    report["threads"] = (
        f"{torch.get_num_threads()} for torch, {num_threads()} for the simulator, {len(os.sched_getaffinity(0))} cores usable"
    )
    why_not = why_not_compiled(resolve_device("auto"))
    report["compiled step"] = f"not possible: {why_not}" if why_not else "possible"
    report |= realtime_limits.describe()
    report["renderers"] = ", ".join(available_renderers()) or "none: no video; install libegl1 or libosmesa6"
    return report


def env_steps_per_second(robot_name: str) -> float:
    """The measured rate of control steps [1/s], summed over `BENCH_ROBOTS` robots with different masses and random actions."""
    robot = load_robot(robot_name)
    simulation = BatchSimulation(robot, BENCH_ROBOTS)
    different = [Change(body_mass=float(scale)) for scale in np.linspace(0.75, 1.25, BENCH_ROBOTS)]
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
