"""The query loss: how well a predictor foresees the steps that follow the window."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.predictor import Predictor
from adaptive_mbrl.pseudo_huber import pseudo_huber


def query_errors(predictor: Predictor, windows: Windows) -> Tensor:
    """Open-loop error of every particle along the query, (P, W, M, obs_dim), in stds of the one-step target."""
    predicted = predictor.roll_out(windows.obs[:, 0], windows.action[:, None]).next_obs[:, :, 0]
    return predictor.error(predicted, windows.obs[:, 1:])


def multi_step_loss(predictor: Predictor, windows: Windows) -> Tensor:
    """Mean pseudo-Huber error over the open-loop query, (W,); one step when M = 1.

    A one-step loss against an H-step planner is the classic failure; the pseudo-Huber form sqrt(1 + e^2) - 1 keeps a contact
    that is missed by one step from outweighing everything else.
    """
    errors = query_errors(predictor, windows)
    return pseudo_huber(errors).mean((0, 2, 3))


def one_step_loss_on_query(predictor: Predictor, windows: Windows) -> Tensor:
    """Mean squared one-step error over the M steps of the query, each from its true observation, (W,).

    This is the outer loss of GrBAL as published (Nagabandi et al. 2018, arXiv 1803.11347, equation 3).
    """
    steps = [
        predictor.roll_out(windows.obs[:, h], windows.action[:, None, h : h + 1]).next_obs[:, :, 0, 0]
        for h in range(windows.action.shape[1])
    ]
    return predictor.error(torch.stack(steps, dim=2), windows.obs[:, 1:]).square().mean((0, 2, 3))
