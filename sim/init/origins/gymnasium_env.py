"""The robot of a Gymnasium environment with MuJoCo underneath: its model, control period, starts, reward and early ends."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError
from sim.init.actuators import Actuator
from sim.init.anatomy import Anatomy
from sim.init.channels import SPEED, forward, height_of, names_of, tilts_of
from sim.init.draft import Entry, Task, rounded
from sim.init.joints import HINGE
from sim.init.origins.origin import Origin, read_spec, relative

_NORMAL_VELOCITIES = ("HalfCheetah", "Ant", "InvertedDoublePendulum")
"""Environments whose initial velocities are normal; those of the others are uniform."""


def from_gymnasium(name: str, folder: Path) -> Origin:
    """Make an environment and read what its attributes say."""
    env = _make(name)
    model, file = getattr(env, "model", None), getattr(env, "fullpath", None)
    if not isinstance(model, mujoco.MjModel):
        raise ConfigError(f"--gym {name}: has no MuJoCo model; allowed: an environment with MuJoCo underneath, such as Hopper-v5")
    if file is None or not Path(file).is_file():
        raise ConfigError(f"--gym {name}: does not say in `fullpath` which MJCF it is made from; give that file with --mjcf")
    path = Path(file)
    assets = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"
    reference = f"gymnasium:{path.relative_to(assets).as_posix()}" if path.is_relative_to(assets) else relative(path, folder)
    runs = hasattr(env, "_forward_reward_weight")

    def adjust(task: Task, anatomy: Anatomy, actuators: tuple[Actuator, ...], channels: tuple[Entry, ...]) -> Task:
        return _as_rewarded(env, name, task, anatomy, channels)

    return Origin(
        spec=read_spec(path, f"--gym {name}"),
        reference=reference,
        described=f"{path.name} of Gymnasium's {name}",
        assets=path.parent,
        dt=float(env.dt),
        task="run" if runs else None,
        use_keyframe=False,
        adjust=adjust,
    )


def _make(name: str) -> Any:
    try:
        return gymnasium.make(name).unwrapped
    except gymnasium.error.Error as error:
        hint = did_you_mean(name, gymnasium.registry)
        raise ConfigError(f"--gym {name}: Gymnasium cannot make it{hint}: {' '.join(str(error).split())}") from error
    except ImportError as error:
        raise ConfigError(f"--gym {name}: a package that it needs is missing: {error}") from error


def _as_rewarded(env: Any, name: str, task: Task, anatomy: Anatomy, channels: tuple[Entry, ...]) -> Task:
    """The environment's reward as far as its attributes tell it; else what suits the model, with its starts and ends."""
    healthy = _healthy(env, anatomy, channels)
    terminates = bool(getattr(env, "_terminate_when_unhealthy", True))
    objective, summary = task.objective, task.summary
    notes: tuple[str, ...] = (f"{name} has its own reward, which its attributes do not tell: this one suits the model.",)
    if hasattr(env, "_forward_reward_weight") and SPEED in names_of(channels):
        objective, summary = _forward_reward(env, anatomy, bool(healthy)), f"What {name} rewards: to get ahead along x."
        notes = (f"The reward of {name}, term by term.", *_left_out(env))
    elif hasattr(env, "_uph_cost_weight") and (height := height_of(anatomy, channels)) is not None:
        objective, summary = _height_reward(env, height[0]), f"What {name} rewards: to get up."
        notes = (f"The reward of {name} without its constants and its small cost of impacts.",)
    elif healthy:
        objective = (Entry({"kind": "healthy", "weight": 1.0}, "a step without a fall"), *task.objective)
        notes = (f"{name} rewards each step without a fall; the other terms lead there, because a planner does not see far.",)
    return dataclasses.replace(
        task,
        summary=summary,
        objective=objective,
        healthy=healthy or task.healthy,
        terminates=terminates,
        reset=_reset(env, name, task),
        notes=notes,
    )


def _forward_reward(env: Any, anatomy: Anatomy, has_healthy: bool) -> tuple[Entry, ...]:
    found = forward(anatomy)
    sign = 1 if found is None else found[2]
    terms = [Entry({"kind": "linear", "channels": [SPEED], "weight": sign * float(env._forward_reward_weight)}, "speed along x")]
    if has_healthy:
        weight = float(getattr(env, "_healthy_reward", 1.0))
        terms.append(Entry({"kind": "healthy", "weight": weight}, "a step without a fall"))
    cost = float(getattr(env, "_ctrl_cost_weight", 0.0))
    if cost:
        terms.append(Entry({"kind": "action_quadratic", "weight": cost}, "small commands"))
    return tuple(terms)


def _height_reward(env: Any, height: str) -> tuple[Entry, ...]:
    # the environment divides by its physics step
    weight = float(env._uph_cost_weight) / float(env.model.opt.timestep)
    return (
        Entry({"kind": "linear", "channels": [height], "weight": rounded(weight)}, "up"),
        Entry({"kind": "action_quadratic", "weight": float(getattr(env, "_ctrl_cost_weight", 0.0))}, "small commands"),
    )


def _left_out(env: Any) -> tuple[str, ...]:
    if getattr(env, "_contact_cost_weight", 0):
        return ("Left out: the small cost of contact forces, for which there is no channel.",)
    return ()


def _healthy(env: Any, anatomy: Anatomy, channels: tuple[Entry, ...]) -> tuple[Entry, ...]:
    ranges = []
    height = height_of(anatomy, channels)
    if height is not None and hasattr(env, "_healthy_z_range"):
        ranges.append(_range(height[0], env._healthy_z_range))
    if hasattr(env, "_healthy_angle_range"):
        ranges += [_range(name, env._healthy_angle_range) for name in tilts_of(anatomy, channels)]
    if type(env).__name__.startswith("InvertedPendulum"):
        hinges = [e for e in channels if e.active and e.values["source"].get("qpos") in _hinges(anatomy)]
        ranges += [_range(str(e.values["name"]), (-0.2, 0.2)) for e in hinges]
    return tuple(r for r in ranges if len(r.values) > 1)


def _hinges(anatomy: Anatomy) -> list[str]:
    return [j.name for j in anatomy.limbs if j.kind == HINGE]


def _range(name: str, limits: Any) -> Entry:
    low, high = (float(x) for x in np.asarray(limits, dtype=float))
    ends = {key: rounded(x, 6) for key, x in (("low", low), ("high", high)) if math.isfinite(x)}
    return Entry({"name": name, **ends})


def _reset(env: Any, name: str, task: Task) -> dict[str, Any]:
    """The environment's initial states: noise of one scale on all positions and velocities."""
    if not hasattr(env, "_reset_noise_scale"):
        return dict(task.reset)
    noise = float(env._reset_noise_scale)
    uniform = {} if name.startswith(_NORMAL_VELOCITIES) else {"qvel_distribution": "uniform"}
    return {"qpos_noise": noise, "qvel_noise": noise, **uniform}
