"""Where each observation channel comes from, as a robot's YAML says it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import mujoco

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError

_CARTESIAN = ("x", "y", "z")
_EULER = ("roll", "pitch", "yaw")
_SENSOR_TYPES = {"site": mujoco.mjtSensor.mjSENS_FRAMEPOS, "site_velocity": mujoco.mjtSensor.mjSENS_FRAMELINVEL}


@dataclass(frozen=True)
class Source:
    """Where one channel's number comes from; exactly one of the first seven keys is given.

    Attributes:
        qpos: name of a joint whose position is read [m or rad].
        qvel: name of a joint whose velocity is read [m/s or rad/s].
        displacement_rate: name of a joint whose mean velocity over the last control step is read,
            (qpos_t - qpos_{t-1}) / dt; it is 0 at a reset.
        euler: name of a free or ball joint whose roll, pitch or yaw is read [rad]; the rotations are about z, then y, then x.
        site: name of a site whose world position along `axis` is read [m].
        site_velocity: name of a site whose world velocity along `axis` is read [m/s].
        sensor: name of a sensor of the MJCF.
        index: which number is read where a ball joint, a free joint or a sensor has several.
        axis: x, y or z for a site; roll, pitch or yaw for `euler`.
    """

    qpos: str | None = None
    qvel: str | None = None
    displacement_rate: str | None = None
    euler: str | None = None
    site: str | None = None
    site_velocity: str | None = None
    sensor: str | None = None
    index: int | None = None
    axis: Literal["x", "y", "z", "roll", "pitch", "yaw"] | None = None

    def __post_init__(self) -> None:
        given = [k for k in READERS if getattr(self, k) is not None]
        if len(given) != 1:
            raise ConfigError(f"a source needs exactly one of {', '.join(READERS)}; got {', '.join(given) or 'none'}")
        allowed = {"euler": _EULER, "site": _CARTESIAN, "site_velocity": _CARTESIAN}.get(self.kind, ())
        if allowed and self.axis not in allowed:
            raise ConfigError(f"'{self.kind}' needs an axis: {', '.join(allowed)}; got {self.axis}")
        if self.axis is not None and not allowed:
            raise ConfigError(f"'{self.kind}' takes no axis")
        if self.index is not None and allowed:
            raise ConfigError(f"'{self.kind}' takes no index")

    @property
    def kind(self) -> str:
        """The key that is given, such as ``qpos``."""
        return next(k for k in READERS if getattr(self, k) is not None)

    @property
    def element(self) -> str:
        """The name of the joint, site or sensor."""
        return str(getattr(self, self.kind))


def add_sensors(spec: mujoco.MjSpec, sources: Sequence[Source]) -> None:
    """Add the sensors that sites are read through. MuJoCo evaluates them with the state; they do not change the physics."""
    for kind, sensor_type in _SENSOR_TYPES.items():
        for name in dict.fromkeys(s.element for s in sources if s.kind == kind):
            known = [s.name for s in spec.sites]
            if name not in known:
                raise ConfigError(f"unknown site '{name}'; known sites: {', '.join(known) or 'none'}")
            spec.add_sensor(name=_sensor_name(kind, name), type=sensor_type, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=name)


def joint_index(model: mujoco.MjModel, name: str) -> int:
    """Find a joint by its name; for an unknown one the error lists the known ones.

    A free joint without a name, which a ``<freejoint/>`` often is, has the name of its body.
    """
    known = [_joint_name(model, j) for j in range(model.njnt)]
    if name not in known:
        raise ConfigError(f"unknown joint '{name}'{did_you_mean(name, known)}; known joints: {', '.join(filter(None, known))}")
    return known.index(name)


def _joint_name(model: mujoco.MjModel, joint: int) -> str:
    name = str(model.joint(joint).name)
    is_free = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE
    return str(model.body(int(model.jnt_bodyid[joint])).name) if is_free and not name else name


def _picked(source: Source, count: int) -> int:
    if source.index is None and count == 1:
        return 0
    if source.index is None or not 0 <= source.index < count:
        raise ConfigError(
            f"'{source.kind}: {source.element}' has {count} numbers: 'index' must be 0 to {count - 1}, got {source.index}"
        )
    return source.index


def _read_qpos(model: mujoco.MjModel, source: Source) -> tuple[str, int]:
    joint = joint_index(model, source.element)
    count = {mujoco.mjtJoint.mjJNT_FREE: 7, mujoco.mjtJoint.mjJNT_BALL: 4}.get(mujoco.mjtJoint(model.jnt_type[joint]), 1)
    return "qpos", int(model.jnt_qposadr[joint]) + _picked(source, count)


def _read_rate(model: mujoco.MjModel, source: Source) -> tuple[str, int]:
    return "displacement_rate", _read_qpos(model, source)[1]


def _read_qvel(model: mujoco.MjModel, source: Source) -> tuple[str, int]:
    joint = joint_index(model, source.element)
    count = {mujoco.mjtJoint.mjJNT_FREE: 6, mujoco.mjtJoint.mjJNT_BALL: 3}.get(mujoco.mjtJoint(model.jnt_type[joint]), 1)
    return "qvel", int(model.jnt_dofadr[joint]) + _picked(source, count)


def _read_euler(model: mujoco.MjModel, source: Source) -> tuple[str, int]:
    joint = joint_index(model, source.element)
    start = {mujoco.mjtJoint.mjJNT_FREE: 3, mujoco.mjtJoint.mjJNT_BALL: 0}.get(mujoco.mjtJoint(model.jnt_type[joint]))
    if start is None:
        raise ConfigError(f"'euler: {source.element}' needs a free or ball joint")
    # one number for the address of the quaternion and the axis; the observer takes it apart with divmod
    return "euler", (int(model.jnt_qposadr[joint]) + start) * 3 + _EULER.index(str(source.axis))


def _read_sensor(model: mujoco.MjModel, source: Source) -> tuple[str, int]:
    name = _sensor_name(source.kind, source.element) if source.kind in _SENSOR_TYPES else source.element
    sensor = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, name)
    if sensor < 0:
        known = ", ".join(model.sensor(i).name for i in range(model.nsensor)) or "none"
        raise ConfigError(f"unknown sensor '{name}'; known sensors: {known}")
    offset = _CARTESIAN.index(source.axis) if source.axis in _CARTESIAN else _picked(source, int(model.sensor_dim[sensor]))
    return "sensordata", int(model.sensor_adr[sensor]) + offset


def _sensor_name(kind: str, site: str) -> str:
    return f"obs/{kind}/{site}"


# a reader gives the array that a source is read from, and the column in it
READERS: dict[str, Callable[[mujoco.MjModel, Source], tuple[str, int]]] = {
    "qpos": _read_qpos,
    "qvel": _read_qvel,
    "displacement_rate": _read_rate,
    "euler": _read_euler,
    "site": _read_sensor,
    "site_velocity": _read_sensor,
    "sensor": _read_sensor,
}
