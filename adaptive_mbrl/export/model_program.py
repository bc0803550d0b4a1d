"""Adapting and predicting alone, from recent transitions to the next observation, for ONNX.

Planning stays with whoever loads the file. ONNX has no Cholesky decomposition, so that rules which solve equations, which are
`bayes_linear` and `gauss_newton`, cannot be exported in this way.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.export import ExportedProgram

from adaptive_mbrl.adaptation.reversal import as_wired
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.export.tracing import traced
from adaptive_mbrl.transitions import Transitions

OUTPUTS = ("next_obs_mean", "next_obs_std")
"""What the program returns, in this order."""
_NOT_IN_ONNX = (torch.ops.aten.silu_backward,)
"""Operations of derivatives that are written with others."""


def example_inputs(controller: AdaptiveController, robots: int) -> dict[str, Tensor]:
    """Inputs of the right shapes, by their names and in their order."""
    obs_dim, action_dim, window = controller.spec.obs_dim, controller.spec.action_dim, controller.window
    return {
        "recent_obs": torch.zeros(robots, window, obs_dim),
        "recent_action": torch.zeros(robots, window, action_dim),
        "recent_next_obs": torch.zeros(robots, window, obs_dim),
        "recent_valid": torch.ones(robots, window, dtype=torch.bool),
        "obs": torch.zeros(robots, obs_dim),
        "action": torch.zeros(robots, action_dim),
    }


def export_model(controller: AdaptiveController, robots: int = 1) -> ExportedProgram:
    """The dynamics that the controller's rule believes in after the recent transitions, as a program.

    The gate is not in it, nor are delays and reversed motors looked for.
    """
    adapter, inputs = as_wired(controller.settings.adapter), example_inputs(controller, robots)

    def predict(obs: Tensor, action: Tensor, next_obs: Tensor, valid: Tensor, last: Tensor, sent: Tensor) -> tuple[Tensor, ...]:
        recent = Transitions(obs, action, next_obs, valid)
        belief = adapter.infer(recent) if controller.settings.adapt else adapter.prior(robots)
        found = adapter.condition(belief).predict(last[:, None], sent[:, None])
        return found.mean[:, 0], found.std[:, 0]

    with torch.no_grad():
        model = traced(predict, *inputs.values(), rewritten=_NOT_IN_ONNX)
        return torch.export.export(model, tuple(inputs.values()))
