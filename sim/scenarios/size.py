"""Bodies of another size: what becomes of the lengths in a MuJoCo model."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError

Array = NDArray[np.float64]

_SHAPES = tuple(
    int(shape)
    for shape in (
        mujoco.mjtGeom.mjGEOM_SPHERE,
        mujoco.mjtGeom.mjGEOM_CAPSULE,
        mujoco.mjtGeom.mjGEOM_ELLIPSOID,
        mujoco.mjtGeom.mjGEOM_CYLINDER,
        mujoco.mjtGeom.mjGEOM_BOX,
    )
)


def sized_fields(model: mujoco.MjModel, size: Array) -> dict[str, Array]:
    """The model fields that hold lengths, by name; inertias are not among them.

    Args:
        model: the nominal model.
        size: the factor of each body, (nbody,).

    Raises:
        ConfigError: a body's geoms cannot be scaled.
    """
    # a number scales all bodies, and the world is none
    size = np.concatenate([[1.0], size[1:]])
    for body in np.flatnonzero(size != 1.0):
        _check(model, int(body))
    of_geom, of_parent = size[model.geom_bodyid], size[model.body_parentid]
    return {
        "body_pos": model.body_pos * of_parent[:, None],
        "body_ipos": model.body_ipos * size[:, None],
        "jnt_pos": model.jnt_pos * size[model.jnt_bodyid][:, None],
        "geom_pos": model.geom_pos * of_geom[:, None],
        "geom_size": model.geom_size * of_geom[:, None],
        "geom_rbound": model.geom_rbound * of_geom,
        "geom_aabb": model.geom_aabb * of_geom[:, None],
        "site_pos": model.site_pos * size[model.site_bodyid][:, None],
    }


def _check(model: mujoco.MjModel, body: int) -> None:
    geoms = np.flatnonzero(model.geom_bodyid == body)
    collide = np.any((model.geom_contype[geoms] | model.geom_conaffinity[geoms]) != 0)
    where = f"body_size: body '{model.body(body).name}'"
    if not np.isin(model.geom_type[geoms], _SHAPES).all() or np.any(model.geom_fluid[geoms]):
        raise ConfigError(f"{where} has a geom that cannot be scaled; allowed: sphere, capsule, ellipsoid, cylinder, box")
    if len(geoms) > 1 and collide:
        # MuJoCo looks for contacts of such a body in a tree of boxes that all simulations share
        raise ConfigError(f"{where} has {len(geoms)} geoms that touch others; allowed: one geom, or geoms without contacts")
