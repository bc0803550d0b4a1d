"""Open-loop rollout of the dynamics model: the innermost loop of planning, laid out for few and large tensor operations.

The same function as H calls of `DynamicsModel.predict_members`. What does not change from step to step is computed once: the
part of the first layer that actions and context drive, and the normalisation as one affine map on each side of the network.
Angles are wrapped at the end only; in between they enter as sine and cosine. Products run over groups of rows that share their
weights: G = E groups of R = T n rows where all tasks do, G = E T groups of R = n rows where each task has its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from adaptive_mbrl.dynamics.ensemble import MODULATION

if TYPE_CHECKING:
    from adaptive_mbrl.dynamics.model import DynamicsModel


def roll_out(model: DynamicsModel, parameters: Mapping[str, Tensor], obs: Tensor, actions: Tensor) -> Tensor:
    """See `DynamicsModel.roll_out`."""
    net, normalizer = model.net, model.normalizer
    members, (tasks, candidates, horizon, _), obs_dim = net.members, actions.shape, obs.shape[-1]
    own = any(parameters[f"{kind}_{i}"].dim() == 4 for kind in ("weight", "bias") for i in range(net.num_layers))
    groups, rows = (members * tasks, candidates) if own else (members, tasks * candidates)

    def grouped(parameter: Tensor) -> Tensor:
        """(E, a, b) or (E, T, a, b) -> (G, a, b)."""
        if not own:
            return parameter
        return (parameter if parameter.dim() == 4 else parameter[:, None].expand(-1, tasks, -1, -1)).flatten(0, 1)

    weights, biases = ([grouped(parameters[f"{kind}_{i}"]) for i in range(net.num_layers)] for kind in ("weight", "bias"))
    observed, driven = weights[0][:, : normalizer.input_dim], weights[0][:, normalizer.input_dim :]
    affine = normalizer.affine()
    # sines have columns of their own here, beside zeros where `affine` leaves the angles out
    observed = torch.cat([observed[:, :obs_dim], observed[:, affine.angles], observed[:, obs_dim:]], dim=1)

    gain, context = (p if p.dim() == 4 else p[:, None] for p in (parameters[name] for name in MODULATION))
    # (E, T, H, n, .), or (E, H, T, n, .) where rows of all tasks lie together
    u = normalizer.encode_action(actions).transpose(1, 2)[None] * gain[:, :, None]
    inputs = torch.cat([u, context[:, :, None].expand(*u.shape[:-1], -1)], dim=-1).to(driven.dtype)
    inputs = (inputs if own else inputs.transpose(1, 2)).reshape(groups, horizon * rows, -1)
    drive = torch.baddbmm(biases[0], inputs, driven).unflatten(1, (horizon, rows))

    state = obs.expand(members, tasks, candidates, obs_dim).reshape(groups, rows, obs_dim)
    trajectory = []
    for step in range(horizon):
        angles = state.index_select(-1, affine.angles)
        x = torch.cat([torch.addcmul(affine.offset, state, affine.scale), angles.sin(), angles.cos()], dim=-1)
        h = torch.baddbmm(drive[:, step], x.to(observed.dtype), observed)
        for weight, bias in zip(weights[1:], biases[1:], strict=True):
            h = torch.baddbmm(bias, net.activation(h), weight)
        change = torch.addcmul(affine.target_mean, h[..., :obs_dim].to(state.dtype), affine.target_std)
        state = torch.clamp(torch.addcmul(change, state, affine.carry), affine.low, affine.high)
        trajectory.append(state)
    return normalizer.wrap(torch.stack(trajectory, dim=-2)).reshape(members, tasks, candidates, horizon, obs_dim)
