"""The robot in a page's scene: its parts, the floor that it runs over, the goal, and planned futures as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.viewing.colours import BAD, ESTIMATE, GOOD, NEUTRAL, TRUTH, rgb
from sim.evaluation.video import changed_geoms
from sim.robot.robot import Robot
from sim.robot.scenery import side_camera
from sim.scenarios.change import Change
from sim.viewing.futures import Lines
from sim.viewing.meshes import colour_of, floors, mesh_of, visible_geoms
from sim.viewing.pose import PosedModel, moves_about

if TYPE_CHECKING:
    import viser

Array = NDArray[np.float64]
_CELL, _SECTION = 0.5, 5.0
"""Distances of the floor's thin and thick lines [m]."""
_GROUND = 60.0
_ROOM, _FIELD_OF_VIEW = 1.6, 45.0
"""Distance of the camera, in extents of the model, and its vertical field of view [degrees]."""
_LINE = 0.05
"""Thickness of a line, in sizes of the robot's parts."""


class Scene:
    """Draws one robot.

    A robot that runs away stays in the middle of the picture, and the floor moves below it: a camera that followed it would take
    the mouse out of the user's hand.

    Args:
        server: serves the page.
        robot: the robot.
        qpos: joint positions to begin with, (nq,).
    """

    def __init__(self, server: viser.ViserServer, robot: Robot, qpos: Array) -> None:
        self._scene, self._robot = server.scene, robot
        self._posed = PosedModel(robot)
        self._posed.place(qpos)
        self._follows = moves_about(robot.model) and not _is_fenced(robot.model)
        self._change, self._shift = Change(), np.zeros(3)
        # lines as thick as a part of the robot, whatever its size
        self._thickness = _LINE * float(np.linalg.norm(robot.model.geom_rbound[visible_geoms(robot.model)]) / 2)
        self._world = self._scene.add_frame("/world", show_axes=False)
        self._ground = self._add_ground()
        self._scene.configure_default_lights(enabled=True, cast_shadow=False)
        self._bodies: dict[int, viser.FrameHandle] = {}
        self._parts: dict[int, viser.MeshHandle] = {}
        self._add_parts()
        self._lines: dict[str, viser.LineSegmentsHandle] = {}
        self._goal = self._scene.add_icosphere("/world/goal", radius=0.05, color=rgb(GOOD), opacity=0.6, visible=False)
        self._aim(server)

    def show(self, qpos: Array, change: Change, goal: NDArray[np.floating]) -> None:
        """Draw a state of the robot.

        Args:
            qpos: joint positions, (nq,).
            change: the change in force; the parts that it names are red.
            goal: what is aimed at; three numbers are a position in the world [m].
        """
        if change != self._change:
            self._change = change
            if self._posed.apply(change):
                self._add_parts()
            self._paint()
        self._posed.place(qpos)
        data = self._posed.data
        if self._follows:
            self._shift = np.array([*data.xpos[1, :2], 0.0])
        self._world.position = -self._shift
        if self._ground is not None:
            # the floor looks the same after each thick line
            self._ground.position = (*(-(self._shift[:2] % _SECTION)), self._floor)
        for body, frame in self._bodies.items():
            frame.position, frame.wxyz = data.xpos[body], data.xquat[body]
        self._goal.visible = len(goal) == 3
        if len(goal) == 3:
            self._goal.position = goal

    def draw(self, lines: Lines | None) -> None:
        """Draw futures, which begin at the state that was shown last; None removes them."""
        for name, colour, width in (("candidates", NEUTRAL, 0.3), ("believed", ESTIMATE, 0.6), ("real", TRUTH, 0.6)):
            self._draw(name, None if lines is None else getattr(lines, name), colour, width * self._thickness)

    def _draw(self, name: str, paths: Array | None, colour: str, thickness: float) -> None:
        if paths is None or not len(paths):
            if name in self._lines:
                self._lines.pop(name).remove()
            return
        # near the origin: browsers leave out lines whose first points would be out of the picture by now
        near = paths - self._shift
        segments = np.stack([near[:, :-1], near[:, 1:]], axis=2).reshape(-1, 2, 3).astype(np.float32)
        if name in self._lines and len(self._lines[name].points) == len(segments):
            self._lines[name].points = segments
            return
        self._lines[name] = self._scene.add_line_segments(f"/futures/{name}", segments, colors=rgb(colour), thickness=thickness)

    def _add_parts(self) -> None:
        model = self._posed.model
        for geom in visible_geoms(model):
            mesh, body = mesh_of(model, geom), int(model.geom_bodyid[geom])
            if mesh is None:
                continue
            if body not in self._bodies:
                self._bodies[body] = self._scene.add_frame(f"/world/body{body}", show_axes=False)
            colour, opacity = colour_of(model, geom)
            self._parts[geom] = self._scene.add_mesh_simple(
                f"/world/body{body}/geom{geom}",
                mesh.vertices.astype(np.float32),
                mesh.faces.astype(np.uint32),
                color=colour,
                opacity=None if opacity >= 1 else opacity,
                position=model.geom_pos[geom],
                wxyz=model.geom_quat[geom],
            )

    def _paint(self) -> None:
        named = set(changed_geoms(self._robot, self._change))
        for geom, part in self._parts.items():
            colour = rgb(BAD) if geom in named else colour_of(self._posed.model, geom)[0]
            if tuple(part.color) != colour:
                part.color = colour

    def _add_ground(self) -> viser.GridHandle | None:
        heights = floors(self._posed.model)
        if not heights:
            return None
        self._floor = min(heights)
        return self._scene.add_grid(
            "/ground",
            width=_GROUND,
            height=_GROUND,
            cell_size=_CELL,
            section_size=_SECTION,
            section_thickness=2.0,
            fade_distance=_GROUND / 2,
            plane_color=(235, 238, 242),
            plane_opacity=1.0,
            position=(0.0, 0.0, self._floor),
        )

    def _aim(self, server: viser.ViserServer) -> None:
        """Point the camera at the robot, from the side."""
        view = side_camera(self._posed.model, self._posed.data)
        azimuth, elevation = np.radians(view.azimuth), np.radians(view.elevation)
        forward = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
        model = self._posed.model
        # a robot that does not stay in the middle needs its whole room in the picture
        at = np.array([0.0, 0.0, self._posed.data.xpos[1, 2]]) if self._follows else model.stat.center
        distance = view.distance if self._follows else max(view.distance, _ROOM * model.stat.extent)
        server.initial_camera.look_at = at
        server.initial_camera.position = at - distance * forward
        server.initial_camera.fov = np.radians(_FIELD_OF_VIEW)


def _is_fenced(model: mujoco.MjModel) -> bool:
    """Whether the first body's joints have limits, so that it stays in the picture by itself."""
    own = model.jnt_bodyid == 1
    return bool(model.jnt_limited[own & (model.jnt_type == mujoco.mjtJoint.mjJNT_SLIDE)].all()) and not bool(
        (model.jnt_type[own] == mujoco.mjtJoint.mjJNT_FREE).any()
    )
