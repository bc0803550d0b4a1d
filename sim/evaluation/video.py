"""rollout.mp4: arms side by side, with what is broken in red, rendered without a display; `drawing.py` draws it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from sim.evaluation.drawing_process import NO_RENDERER, VideoError, draw, pick_renderer
from sim.evaluation.report import describe
from sim.robot.robot import Robot
from sim.scenarios.change import Change


@dataclass(frozen=True)
class Panel:
    """One robot of the video.

    Attributes:
        title: text that is written above the robot.
        qpos: MuJoCo's joint positions at every control step of the robot's episode, (steps, nq).
        readings: text that is written below the title at each of these steps; none by default.
    """

    title: str
    qpos: NDArray[np.float64]
    readings: Sequence[str] = ()


def render_video(
    robot: Robot,
    panels: Sequence[Panel],
    changes: Sequence[Change],
    path: Path,
    progress: Callable[[], None] = lambda: None,
    goals: NDArray[np.float32] | None = None,
    steps: range | None = None,
    captions: bool = True,
    renderer: str | None = None,
) -> None:
    """Render panels side by side, in real time.

    Args:
        robot: the robot of all panels.
        panels: the robots, side by side; one whose episode is shorter than T control steps stands still at its end.
        changes: the change in force at every control step, T of them; the parts it names are drawn red.
        path: the mp4 file; an old one is replaced when the new one is complete.
        progress: called after every frame.
        goals: the goal of all panels at every control step, (T, goal_dim). A goal of three entries is a position in the world
            [m] and is shown by the site `goal`, if the robot's model has one.
        steps: the control steps that are drawn, of T; all of them if not given.
        captions: whether the changes are written below the robots.
        renderer: what `pick_renderer` gave; it is asked if not given.

    Raises:
        VideoError: there is no renderer, or it failed.
    """
    renderer = renderer or pick_renderer()
    if renderer is None:
        raise VideoError(NO_RENDERER)
    drawn = np.arange(len(changes)) if steps is None else np.array(steps)
    red = np.zeros((len(changes), robot.model.ngeom), dtype=bool)
    for step, change in enumerate(changes):
        red[step, changed_geoms(robot, change)] = True

    def write_job(job: Path) -> None:
        np.savez(
            job,
            robot=str(robot.path),
            titles=[p.title for p in panels],
            qpos=np.stack([_held(p.qpos, len(changes)) for p in panels])[:, drawn],
            red=red[drawn],
            readings=np.array([held_text(p.readings, len(changes)) for p in panels])[:, drawn],
            captions=np.array(captions_of(changes, robot.spec.dt) if captions else [""] * len(changes))[drawn],
            goals=np.zeros((len(drawn), 0)) if goals is None else goals[drawn],
            times=drawn * robot.spec.dt,
        )

    draw(path, "sim.evaluation.drawing", "job.npz", write_job, renderer, progress)


def _held(qpos: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Positions (T, nq), with the last one repeated until there are `steps` of them."""
    return qpos[np.minimum(np.arange(steps), len(qpos) - 1)]


def held_text(readings: Sequence[str], steps: int) -> list[str]:
    """Texts, with the last one repeated until there are `steps` of them."""
    return [readings[min(step, len(readings) - 1)] if readings else "" for step in range(steps)]


def captions_of(changes: Sequence[Change], dt: float) -> list[str]:
    """What is changed at each control step and for how many seconds, for example ``body mass 1.3, for 2.4 s``."""
    captions, begun = [], 0
    for step, change in enumerate(changes):
        if step and change != changes[step - 1]:
            begun = step
        captions.append("" if change == Change() else f"{describe(change)}, for {(step - begun) * dt:.1f} s")
    return captions


def changed_geoms(robot: Robot, change: Change) -> list[int]:
    """Geoms of the parts that `change` names, such as a motor's body; a change of the whole robot names no part."""
    model, elements = robot.model, robot.elements
    bodies: set[int] = set()
    geoms: set[int] = set()
    for name in _names(change.actuator_gain):
        geoms |= _geoms_of_actuator(model, int(elements.actuators[name][0]))
    for name in (*_names(change.body_mass), *_names(change.body_size), *change.external_force):
        bodies.add(int(elements.bodies[name][0]))
    for name in (*_names(change.damping), *_names(change.armature)):
        bodies.add(int(model.dof_bodyid[elements.joints[name][0]]))
    for name in _names(change.friction):
        geoms |= {int(g) for g in elements.geoms[name]}
    return sorted(geoms | {g for g in range(model.ngeom) if int(model.geom_bodyid[g]) in bodies})


def _names(scale: float | Mapping[str, float]) -> tuple[str, ...]:
    return tuple(scale) if isinstance(scale, Mapping) else ()


def _geoms_of_actuator(model: mujoco.MjModel, actuator: int) -> set[int]:
    kind, target = mujoco.mjtTrn(model.actuator_trntype[actuator]), int(model.actuator_trnid[actuator, 0])
    if kind in (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT):
        body = int(model.jnt_bodyid[target])
        return {g for g in range(model.ngeom) if model.geom_bodyid[g] == body}
    if kind == mujoco.mjtTrn.mjTRN_SITE:
        # a thruster: the geom of its body that is nearest to it
        own = np.flatnonzero(model.geom_bodyid == model.site_bodyid[target])
        distance = np.linalg.norm(model.geom_pos[own] - model.site_pos[target], axis=1)
        return {int(own[np.argmin(distance)])} if len(own) else set()
    return set()
