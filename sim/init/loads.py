"""What hangs on a joint, for forces that nobody has given."""

from __future__ import annotations

import mujoco
import numpy as np

_STRENGTH = 2.0
"""How many times the weight that hangs on a joint its motor is taken to carry."""
_GRAVITY = 9.81
_LEAST = 1e-3


def ample_force(model: mujoco.MjModel, data: mujoco.MjData, dof: int) -> float:
    """A force that moves what hangs on a joint with ease: twice its weight [N], for a hinge stretched out level [N m].

    Args:
        model: the model.
        data: its state at the start, after a forward pass.
        dof: the degree of freedom of the joint.
    """
    gravity = max(float(np.linalg.norm(model.opt.gravity)), _GRAVITY)
    joint, body = int(model.dof_jntid[dof]), int(model.dof_bodyid[dof])
    carried = float(model.body_subtreemass[body])
    if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE:
        below = [b for b in range(body, model.nbody) if _is_below(model, b, body)]
        carried = float(sum(model.body_mass[b] * np.linalg.norm(data.xipos[b] - data.xanchor[joint]) for b in below))
    return _STRENGTH * gravity * max(carried, _LEAST)


def _is_below(model: mujoco.MjModel, body: int, ancestor: int) -> bool:
    while body > ancestor:
        body = int(model.body_parentid[body])
    return body == ancestor
