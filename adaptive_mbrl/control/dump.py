"""A control step whose prediction is not finite is written to a file, and can be run again from it exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adaptive_mbrl.adaptation.belief import map_belief, tensors_of
from adaptive_mbrl.checkpoint import Description
from adaptive_mbrl.config import from_mapping, to_mapping
from adaptive_mbrl.control.step import (
    ControllerState,
    ControlSettings,
    StepInputs,
    StepNoise,
    StepReport,
    control_step,
    initial_state,
)
from adaptive_mbrl.dump import Dump, numbered, write_dump
from adaptive_mbrl.planning import Plan, Score, make_planner
from adaptive_mbrl.planning.score import FAILED_RETURN

KIND = "control_step"
_TENSOR_INPUTS = ("obs", "begin", "goal", "sent", "connected", "pending")


class StepDump:
    """Watches the control steps of one controller and writes the first one that is not finite.

    Args:
        folder: where the file goes.
        description: the checkpoint's description, with the planner's settings that are in use.
    """

    def __init__(self, folder: Path, description: Description) -> None:
        self.folder, self.description = folder, description
        self.written: Path | None = None

    def check(
        self,
        settings: ControlSettings,
        state: ControllerState,
        inputs: StepInputs,
        noise: StepNoise,
        adapted_error: np.ndarray,
        predicted_return: np.ndarray,
    ) -> None:
        """Write the step if a prediction in it was not finite, unless one is written already.

        Args:
            settings: what the step was taken with.
            state: the state before the step.
            inputs: what was known at the step.
            noise: the step's random numbers.
            adapted_error: what came out of the step, (B,); NaN where there was no step before.
            predicted_return: what came out of the step, (B,).
        """
        if self.written is not None:
            return
        reasons = []
        if (predicted_return < FAILED_RETURN / 100).any():
            reasons.append("no candidate has a finite predicted return")
        failed = torch.from_numpy(~np.isfinite(adapted_error))
        if failed.any() and bool((failed & _started(state, inputs)).any()):
            reasons.append("the prediction of this observation is not finite")
        if reasons:
            self.written = self._write("; ".join(reasons), settings, state, inputs, noise)

    def _write(
        self, reason: str, settings: ControlSettings, state: ControllerState, inputs: StepInputs, noise: StepNoise
    ) -> Path:
        about = {
            "description": to_mapping(self.description),
            "adapt": settings.adapt,
            "fallback": settings.fallback,
            "precision": settings.precision,
            "remaining": inputs.remaining,
            "freeze": inputs.freeze,
        }
        tensors = {f"adapter.{name}": tensor for name, tensor in settings.adapter.state_dict().items()}
        tensors |= numbered("state", tensors_of(state))
        tensors |= {f"inputs.{name}": getattr(inputs, name) for name in _TENSOR_INPUTS}
        tensors["noise.plan"] = noise.plan
        if noise.belief is not None:
            tensors["noise.belief"] = noise.belief
        return write_dump(self.folder, KIND, reason, about, tensors)


def replay_control_step(dump: Dump) -> tuple[ControllerState, Plan, StepReport]:
    """Run the control step of a dump again, on the CPU."""
    settings, state, inputs, noise = _restored(dump)
    return control_step(state, inputs, noise, settings)


def _restored(dump: Dump) -> tuple[ControlSettings, ControllerState, StepInputs, StepNoise]:
    about = dump.about
    description = from_mapping(Description, about["description"], source="dump")
    adapter = description.make_adapter()
    # NaN weights are what a dump may be about: they are taken as they are
    adapter.load_state_dict(dump.part("adapter"))
    planner = make_planner(description.spec, description.planner)
    score = Score(description.objective, planner.uncertainty_penalty)
    settings = ControlSettings(
        adapter.eval(), planner, score, adapt=about["adapt"], fallback=about["fallback"], precision=about["precision"]
    )
    given: dict[str, Any] = dump.part("inputs")
    inputs = StepInputs(**given, remaining=about["remaining"], freeze=about["freeze"])
    template = initial_state(settings, len(inputs.obs), description.window, description.spec.obs_dim)
    stored = iter(dump.sequence("state"))

    def next_stored(tensor: Tensor) -> Tensor:
        return next(stored)

    state: ControllerState = map_belief(next_stored, template)
    noise = dump.part("noise")
    return settings, state, inputs, StepNoise(noise["plan"], noise.get("belief"))


def _started(state: ControllerState, inputs: StepInputs) -> Tensor:
    return (state.started & inputs.connected).cpu()
