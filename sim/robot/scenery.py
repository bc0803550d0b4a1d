"""What pictures of a robot need beside its MJCF: an endless floor, a mark at the goal and a camera."""

from __future__ import annotations

import mujoco
import numpy as np


def make_planes_endless(model: mujoco.MjModel) -> None:
    """Draw planes without an end, as they are simulated; else a robot that runs far would seem to fly."""
    for geom in np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE):
        size, material = model.geom_size[geom, :2].copy(), model.geom_matid[geom]
        model.geom_size[geom, :2] = 0
        if material >= 0 and size.min() > 0 and not model.mat_texuniform[material]:
            # a texture that was spread over the plane's size repeats every metre on an endless plane
            model.mat_texrepeat[material] /= 2 * size


def goal_marker(model: mujoco.MjModel, goal_dim: int) -> int | None:
    """Make the site `goal` visible and return its index; None if the model has none, or if the goals are not positions."""
    site = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, "goal")
    if site < 0 or goal_dim != 3:
        return None
    model.site_group[site] = 0
    return site


def side_camera(model: mujoco.MjModel, data: mujoco.MjData) -> mujoco.MjvCamera:
    """A camera that follows the first body from the side, with the whole robot in view."""
    moving = model.geom_bodyid > 0
    reach = np.linalg.norm(data.geom_xpos[moving] - data.xpos[1], axis=1) + model.geom_rbound[moving]
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_TRACKING
    camera.trackbodyid = 1
    camera.azimuth, camera.elevation = 90.0, -12.0
    camera.distance = 3.5 * float(reach.max())
    return camera
