"""The state that an episode starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import mujoco
import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from sim.robot.sources import joint_index

Array = NDArray[np.float64]
Noise = float | Mapping[str, float]
Distribution = Literal["uniform", "normal"]


@dataclass(frozen=True)
class Reset:
    """How an episode starts.

    Attributes:
        keyframe: name of the MJCF's keyframe that an episode starts from; by default it starts from `qpos0`.
        qpos: joint positions that replace those of the keyframe, by the joint's name; lists for ball and free joints.
        qpos_noise: half width of the uniform noise on positions; one number for all joints, or one per named joint.
        qvel_noise: standard deviation of the normal noise on velocities; one number for all joints, or one per named joint.
        qpos_distribution: distribution of the noise on positions: ``uniform``, whose half width `qpos_noise` is, or ``normal``,
            whose standard deviation it is.
        qvel_distribution: distribution of the noise on velocities, likewise.
    """

    keyframe: str | None = None
    qpos: Mapping[str, float | tuple[float, ...]] = field(default_factory=dict)
    qpos_noise: Noise = 0.0
    qvel_noise: Noise = 0.0
    qpos_distribution: Distribution = "uniform"
    qvel_distribution: Distribution = "normal"


class InitialState:
    """Draws the state an episode starts from.

    Args:
        model: the robot's nominal model.
        reset: how an episode starts.
    """

    def __init__(self, model: mujoco.MjModel, reset: Reset) -> None:
        self._model, self._reset = model, reset
        data = mujoco.MjData(model)
        if reset.keyframe is not None:
            mujoco.mj_resetDataKeyframe(model, data, _keyframe(model, reset.keyframe))
        self._qpos, self._qvel = data.qpos.copy(), data.qvel.copy()
        for name, value in reset.qpos.items():
            where = _span(model, name, model.jnt_qposadr, model.nq)
            numbers = np.atleast_1d(np.asarray(value, dtype=float))
            if len(numbers) != where.stop - where.start:
                raise ConfigError(f"reset.qpos.{name}: expected {where.stop - where.start} numbers, got {len(numbers)}")
            self._qpos[where] = numbers
        self._qpos_noise = _noise(model, "qpos_noise", reset.qpos_noise, model.jnt_qposadr, model.nq)
        self._qvel_noise = _noise(model, "qvel_noise", reset.qvel_noise, model.jnt_dofadr, model.nv)

    @property
    def qpos(self) -> Array:
        """Joint positions without noise, (nq,)."""
        return self._qpos.copy()

    def sample(self, seed: int) -> tuple[Array, Array]:
        """Joint positions (nq,) and velocities (nv,); for the same seed, gymnasium draws the same numbers."""
        rng = np.random.default_rng(seed)
        qpos = self._qpos + _draw(rng, self._reset.qpos_distribution, self._qpos_noise)
        qvel = self._qvel + _draw(rng, self._reset.qvel_distribution, self._qvel_noise)
        if self._qpos_noise.any():
            mujoco.mj_normalizeQuat(self._model, qpos)
        return qpos, qvel


def _draw(rng: np.random.Generator, distribution: Distribution, width: Array) -> Array:
    return rng.uniform(-width, width) if distribution == "uniform" else width * rng.standard_normal(len(width))


def _keyframe(model: mujoco.MjModel, name: str) -> int:
    known = [model.key(i).name for i in range(model.nkey)]
    if name not in known:
        raise ConfigError(f"reset.keyframe: unknown keyframe '{name}'; known keyframes: {', '.join(known) or 'none'}")
    return known.index(name)


def _span(model: mujoco.MjModel, joint: str, starts: NDArray[np.int32], total: int) -> slice:
    try:
        index = joint_index(model, joint)
    except ConfigError as error:
        raise ConfigError(f"reset: {error}") from error
    end = int(starts[index + 1]) if index + 1 < model.njnt else total
    return slice(int(starts[index]), end)


def _noise(model: mujoco.MjModel, key: str, noise: Noise, starts: NDArray[np.int32], total: int) -> Array:
    if min(noise.values(), default=0.0) < 0 if isinstance(noise, Mapping) else noise < 0:
        raise ConfigError(f"reset.{key}: {noise} is out of range; allowed: at least 0")
    if not isinstance(noise, Mapping):
        return np.full(total, noise)
    widths = np.zeros(total)
    for joint, width in noise.items():
        widths[_span(model, joint, starts, total)] = width
    return widths
