"""The query loss: how good the adapted model is on the steps that follow the window."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel, Parameters


def query_errors(model: DynamicsModel, parameters: Parameters, windows: Windows) -> Tensor:
    """Open-loop error of every member along the query, (E, W, M, obs_dim), in stds of the one-step target."""
    start, actions = windows.obs[:, :1], windows.action[:, None]
    predicted = model.roll_out(parameters, start, actions)[:, :, 0]
    return model.normalizer.error(predicted, windows.obs[:, 1:])


def multi_step_loss(model: DynamicsModel, parameters: Parameters, windows: Windows) -> Tensor:
    """Mean pseudo-Huber error over the open-loop query, (W,); one step when M = 1.

    A one-step loss against an H-step planner is the classic failure; the pseudo-Huber form sqrt(1 + e^2) - 1 keeps a contact
    that is missed by one step from outweighing everything else.
    """
    errors = query_errors(model, parameters, windows)
    return ((1 + errors.square()).sqrt() - 1).mean((0, 2, 3))


def variance_loss(model: DynamicsModel, parameters: Parameters, windows: Windows) -> Tensor:
    """Gaussian negative log-likelihood of one step, (W,); its gradient does not pass through the predicted mean."""
    prediction = model.predict_target(parameters, windows.obs[:, :-1], windows.action)
    target = model.normalizer.target(windows.obs[:, :-1], windows.obs[:, 1:])
    squared = (prediction.mean.detach() - target).square()
    return (0.5 * squared * torch.exp(-2 * prediction.log_std) + prediction.log_std).mean((0, 2, 3))
