"""What goes into an exported file and what comes out, as plain values that are written into the file itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from adaptive_mbrl import __version__
from adaptive_mbrl.checkpoint import Description
from adaptive_mbrl.controller import AdaptiveController

FORMAT_VERSION = 1
ENTRY = "controller.json"
"""Name of the contract within a file: of the extra file of a `.pt2`, of the entry of an ONNX model's metadata."""
_INPUTS = {
    "obs": "the newest observation, in SI units, in the order of the contract's `obs`",
    "goal": "the goal, in the order of the contract's `goal`",
    "sent": "the action that the robots really got since the call before; anything at the first call",
    "connected": "false where more than one control period has passed since the call before: there is nothing to learn from",
    "reset": "true forgets transitions, belief and plan of all robots; for the first call of an episode",
    "noise": "independent numbers of the standard normal distribution, new ones at every call; all robots share them",
    "belief_noise": "the same, for the samples of the belief",
    "recent_obs": "observations of the last transitions, the newest last",
    "recent_action": "the action of each of these transitions",
    "recent_next_obs": "the observation after each of them",
    "recent_valid": "false where there is no transition yet",
    "action": "the action whose outcome is predicted",
}
_OUTPUTS = {
    "actions": "the plan within the action limits; the first of its actions is to be sent",
    "prior_error": "one-step error of the prior about `obs`, RMS over channels in target stds; NaN at first and after a gap",
    "adapted_error": "the same of the belief that the call before planned under",
    "run_length": "for how many control steps the belief has been learning; 0 is the prior",
    "predicted_return": "the best candidate's predicted return",
    "diagnosis": "mean and std of each physical parameter, in the order of the contract's `diagnosis`",
    "delay": "by how many control steps actions are found to act late",
    "sign": "1 for each action, -1 where its motor is found to be wired backwards",
    "next_obs_mean": "the predicted observation one control period later",
    "next_obs_std": "its standard deviation",
}


def contract(
    controller: AdaptiveController, checkpoint: str, about: Description, inputs: dict[str, Tensor], outputs: dict[str, Tensor]
) -> dict[str, Any]:
    """The contract of a program.

    Args:
        controller: what was exported.
        checkpoint: where it was loaded from, as the user wrote it.
        about: the checkpoint's description.
        inputs: example inputs by name, in their order.
        outputs: what these inputs lead to, by name, in their order.
    """
    spec = controller.spec
    return {
        "format_version": FORMAT_VERSION,
        "adaptive_mbrl": __version__,
        "torch": torch.__version__,
        "checkpoint": checkpoint,
        "robot": spec.name,
        "control_period": spec.dt,
        "window": controller.window,
        "obs": [{"name": c.name, "unit": c.unit, "kind": c.kind} for c in spec.obs],
        "action": [{"name": a.name, "unit": a.unit, "low": a.low, "high": a.high} for a in spec.action],
        "goal": list(about.goal_names),
        "diagnosis": list(controller.diagnosis_names),
        "inputs": [_entry(name, value, _INPUTS) for name, value in inputs.items()],
        "outputs": [_entry(name, value, _OUTPUTS) for name, value in outputs.items()],
    }


def _entry(name: str, value: Tensor, words: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "shape": list(value.shape), "type": str(value.dtype).removeprefix("torch."), "meaning": words[name]}
