"""The sensors of a model as channels that can be switched on."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco

from sim.init.channel_names import ChannelNames
from sim.init.draft import Entry

_UNITS = {
    mujoco.mjtSensor.mjSENS_TOUCH: "N",
    mujoco.mjtSensor.mjSENS_ACCELEROMETER: "m/s^2",
    mujoco.mjtSensor.mjSENS_VELOCIMETER: "m/s",
    mujoco.mjtSensor.mjSENS_GYRO: "rad/s",
    mujoco.mjtSensor.mjSENS_FORCE: "N",
    mujoco.mjtSensor.mjSENS_TORQUE: "N m",
    mujoco.mjtSensor.mjSENS_MAGNETOMETER: "T",
    mujoco.mjtSensor.mjSENS_RANGEFINDER: "m",
    mujoco.mjtSensor.mjSENS_JOINTPOS: "rad",
    mujoco.mjtSensor.mjSENS_JOINTVEL: "rad/s",
    mujoco.mjtSensor.mjSENS_TENDONPOS: "m",
    mujoco.mjtSensor.mjSENS_TENDONVEL: "m/s",
    mujoco.mjtSensor.mjSENS_FRAMEPOS: "m",
    mujoco.mjtSensor.mjSENS_FRAMELINVEL: "m/s",
    mujoco.mjtSensor.mjSENS_FRAMEANGVEL: "rad/s",
    mujoco.mjtSensor.mjSENS_FRAMELINACC: "m/s^2",
    mujoco.mjtSensor.mjSENS_FRAMEANGACC: "rad/s^2",
    mujoco.mjtSensor.mjSENS_SUBTREECOM: "m",
    mujoco.mjtSensor.mjSENS_SUBTREELINVEL: "m/s",
}
_RATES = ("m/s", "rad/s", "m/s^2", "rad/s^2")
_MOST_SENSORS = 60


def sensors(model: mujoco.MjModel, names: ChannelNames) -> Iterator[Entry]:
    """The model's sensors, to be switched on: the channels above already tell the whole state of the joints."""
    lines = 0
    for sensor in range(model.nsensor):
        name, size = model.sensor(sensor).name, int(model.sensor_dim[sensor])
        lines += size
        if not name or lines > _MOST_SENSORS:
            continue
        unit = _UNITS.get(mujoco.mjtSensor(int(model.sensor_type[sensor])), "1")
        for index in range(size):
            source = {"sensor": name, **({"index": index} if size > 1 else {})}
            channel = names(f"{name}_{index}" if size > 1 else name)
            kind = "velocity" if unit in _RATES else "linear"
            values = {"name": channel, "unit": unit, **({} if kind == "linear" else {"kind": kind}), "source": source}
            yield Entry(values, active=False)
