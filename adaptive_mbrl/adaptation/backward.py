"""Backward prediction: where was the robot before this step? A loss of CaDM (Lee et al. 2020, arXiv 2005.06800).

    L = mean_h  rho( b(s_{h+1}, a_h, z) - (s_h - s_{h+1}) / std )        h = 0..M - 1,   rho(e) = sqrt(1 + e^2) - 1

A code that lets both directions of time be predicted holds what the dynamics have in common, and less of what happened to be in
the window. The model b is used in training only. CaDM's other loss, the forward prediction of the M steps that follow the window,
is the query loss of the outer loop.

The way back is a difference for channels with ``target: direct``, too: the next value itself is known here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.pseudo_huber import pseudo_huber


class BackwardModel(nn.Module):
    """A perceptron with two hidden layers; maps next_obs, action and code to the way back, in target stds.

    Args:
        model: gives the sizes.
        code_dim: length of the code.
        hidden: width of both layers.
    """

    def __init__(self, model: DynamicsModel, code_dim: int, hidden: int) -> None:
        super().__init__()
        spec, inputs = model.spec, model.normalizer.encoded_dim + model.spec.action_dim + code_dim
        self.net = nn.Sequential(
            nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, spec.obs_dim)
        )

    def forward(self, next_obs: Tensor, action: Tensor, code: Tensor, normalizer: Normalizer) -> Tensor:
        """The way back to obs as `Normalizer.error` counts it, (W, M, obs_dim).

        Args:
            next_obs: SI units, (W, M, obs_dim).
            action: (W, M, action_dim).
            code: (W, code_dim).
            normalizer: the model's.
        """
        codes = code[:, None].expand(-1, next_obs.shape[1], -1)
        inputs = [normalizer.affine().encode(next_obs), normalizer.encode_action(action), codes]
        return self.net(torch.cat(inputs, dim=-1))

    def loss(self, code: Tensor, windows: Windows, normalizer: Normalizer) -> Tensor:
        """Mean pseudo-Huber error over the M steps of the query, each from its true next observation, (W,)."""
        before, after = windows.obs[:, :-1], windows.obs[:, 1:]
        error = self(after, windows.action, code, normalizer) - normalizer.error(before, after)
        return pseudo_huber(error).mean((1, 2))
