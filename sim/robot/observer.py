"""Reading the observations of many simulations at once."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.robot.sources import READERS, Source

Array = NDArray[np.float64]


class Observer:
    """Reads the observation of many simulations with a few array copies.

    Args:
        model: the model, compiled with the sensors of `add_sensors`.
        sources: where each channel is read, in the order of the channels.
        dt: control period [s].

    Attributes:
        origins: for each channel the array that it is read from, and the column in it, as `READERS` gives them.
    """

    def __init__(self, model: mujoco.MjModel, sources: Sequence[Source], dt: float) -> None:
        columns: dict[str, list[tuple[int, int]]] = {}
        self.origins = tuple(READERS[source.kind](model, source) for source in sources)
        for out, (array, column) in enumerate(self.origins):
            columns.setdefault(array, []).append((out, column))
        self.obs_dim = len(sources)
        self._dt = dt
        self._columns = {
            array: (_index([o for o, _ in pairs]), _index([c for _, c in pairs])) for array, pairs in columns.items()
        }
        self._columns.pop("euler", None)
        self._rate = self._columns.pop("displacement_rate", None)
        self._euler_parts = [(o, *divmod(c, 3)) for o, c in columns.get("euler", [])]

    @property
    def needs_sensors(self) -> bool:
        """Whether sensors are read, so that every step must end with a forward pass to make them current."""
        return "sensordata" in self._columns

    def read(self, arrays: dict[str, Array], previous_qpos: Array | None) -> NDArray[np.float32]:
        """The observation of each simulation.

        Args:
            arrays: the present state: ``qpos`` (rows, nq), ``qvel`` (rows, nv) and, if `needs_sensors`, ``sensordata``
                (rows, nsensordata).
            previous_qpos: joint positions one control step earlier, (rows, nq); None right after a reset.

        Returns:
            Observations, (rows, obs_dim).
        """
        qpos = arrays["qpos"]
        obs = np.zeros((len(qpos), self.obs_dim), dtype=np.float32)
        for array, (out, columns) in self._columns.items():
            obs[:, out] = arrays[array][:, columns]
        if self._rate is not None and previous_qpos is not None:
            out, columns = self._rate
            obs[:, out] = (qpos[:, columns] - previous_qpos[:, columns]) / self._dt
        for channel, address, axis in self._euler_parts:
            obs[:, channel] = _euler_angle(qpos[:, address : address + 4], axis)
        return obs


def _euler_angle(quaternion: Array, axis: int) -> Array:
    """Roll (0), pitch (1) or yaw (2) [rad] of unit quaternions (rows, 4), scalar first."""
    w, x, y, z = quaternion.T
    if axis == 0:
        return np.arctan2(2 * (w * x + y * z), 1 - 2 * (x * x + y * y))
    if axis == 1:
        return np.arcsin(np.clip(2 * (w * y - z * x), -1.0, 1.0))
    return np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def _index(columns: list[int]) -> slice | list[int]:
    # a slice copies several times faster than an index array
    contiguous = columns == list(range(columns[0], columns[0] + len(columns)))
    return slice(columns[0], columns[0] + len(columns)) if contiguous else columns
