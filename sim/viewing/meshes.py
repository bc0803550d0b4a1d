"""The geoms of a MuJoCo model as meshes and colours for a page."""

from __future__ import annotations

from typing import NamedTuple

import mujoco
import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.extras import extra_package

Array = NDArray[np.float64]
_HIDDEN_GROUPS = 3
"""Geoms of this group and of those after it are not shown by MuJoCo's viewers either."""
_DEFAULT_RGBA = np.array([0.5, 0.5, 0.5, 1.0], dtype=np.float32)
_PLANE, _SPHERE, _CAPSULE, _ELLIPSOID, _CYLINDER, _BOX, _MESH = (
    int(getattr(mujoco.mjtGeom, f"mjGEOM_{name}"))
    for name in ("PLANE", "SPHERE", "CAPSULE", "ELLIPSOID", "CYLINDER", "BOX", "MESH")
)


class Mesh(NamedTuple):
    """Triangles in the frame of their geom: vertices (V, 3) [m], faces (F, 3)."""

    vertices: Array
    faces: NDArray[np.int64]


def visible_geoms(model: mujoco.MjModel) -> list[int]:
    """The geoms that a viewer shows, without planes."""
    shown = (model.geom_group < _HIDDEN_GROUPS) & (model.geom_type != _PLANE)
    return [int(geom) for geom in np.flatnonzero(shown) if colour_of(model, int(geom))[1] > 0]


def floors(model: mujoco.MjModel) -> list[float]:
    """The heights of the planes that are level [m]."""
    return [float(model.geom_pos[g, 2]) for g in np.flatnonzero(model.geom_type == _PLANE) if abs(model.geom_quat[g, 0]) > 0.999]


def colour_of(model: mujoco.MjModel, geom: int) -> tuple[tuple[int, int, int], float]:
    """Red, green and blue of a geom, each 0 to 255, and its opacity."""
    material = int(model.geom_matid[geom])
    own = model.geom_rgba[geom]
    # as MuJoCo does it: a colour of the geom's own counts more than its material, unless it is the one of a geom without any
    rgba = model.mat_rgba[material] if material >= 0 and np.array_equal(own, _DEFAULT_RGBA) else own
    red, green, blue = (round(255 * float(x)) for x in rgba[:3])
    return (red, green, blue), float(rgba[3])


def mesh_of(model: mujoco.MjModel, geom: int) -> Mesh | None:
    """The triangles of a geom; None for a kind that has none, such as a height field."""
    creation = extra_package("trimesh.creation", "view")
    kind, size = int(model.geom_type[geom]), model.geom_size[geom]
    if kind == _MESH:
        return _mesh_of_file(model, int(model.geom_dataid[geom]))
    if kind == _SPHERE:
        made = creation.icosphere(subdivisions=2, radius=size[0])
    elif kind == _ELLIPSOID:
        made = creation.icosphere(subdivisions=2, radius=1.0)
        made.apply_scale(size)
    elif kind == _CAPSULE:
        made = creation.capsule(height=2 * size[1], radius=size[0], count=(16, 16))
        # the library's capsule begins at its lower end's centre, MuJoCo's has its centre at the origin
        made.vertices -= made.bounds.mean(axis=0)
    elif kind == _CYLINDER:
        made = creation.cylinder(radius=size[0], height=2 * size[1], sections=24)
    elif kind == _BOX:
        made = creation.box(extents=2 * size)
    else:
        return None
    return Mesh(np.asarray(made.vertices, dtype=np.float64), np.asarray(made.faces, dtype=np.int64))


def _mesh_of_file(model: mujoco.MjModel, mesh: int) -> Mesh:
    first, number = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
    start, faces = int(model.mesh_faceadr[mesh]), int(model.mesh_facenum[mesh])
    return Mesh(
        model.mesh_vert[first : first + number].astype(np.float64), model.mesh_face[start : start + faces].astype(np.int64)
    )
