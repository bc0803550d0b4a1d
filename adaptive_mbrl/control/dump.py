"""A control step whose prediction is not finite is written to a file, and can be run again from it exactly.

It is run again uncompiled and to its end: a step that was compiled, or that a deadline cut short, may then differ.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import map_belief, tensors_of
from adaptive_mbrl.adaptation.reversal import ReversalAdapter, ReversalConfig, as_wired, with_reversals
from adaptive_mbrl.checkpoint import Description
from adaptive_mbrl.config import from_mapping, to_mapping
from adaptive_mbrl.control.delay import DelayConfig
from adaptive_mbrl.control.gate import GateConfig
from adaptive_mbrl.control.step import (
    ControllerState,
    ControlSettings,
    StepInputs,
    StepNoise,
    StepReport,
    control_step,
    initial_state,
    with_newest,
)
from adaptive_mbrl.dump import Dump, numbered, write_dump
from adaptive_mbrl.objective import Objective
from adaptive_mbrl.planning import Plan, Score, make_planner
from adaptive_mbrl.planning.learned_reward import LearnedReward
from adaptive_mbrl.planning.learned_termination import LearnedTermination
from adaptive_mbrl.planning.score import FAILED_RETURN
from adaptive_mbrl.planning.value import ValueFunction
from adaptive_mbrl.revision import git_revision

KIND = "control_step"
_LOG = logging.getLogger(__name__)


class StepDump:
    """Watches the control steps of one controller and writes the first one that is not finite.

    A file that cannot be written is told in the log; it never disturbs the control step.

    Args:
        folder: where the file goes.
        description: the checkpoint's description, with the planner's settings that are in use.
        in_background: write on a thread of its own, where a control step has a deadline.
    """

    def __init__(self, folder: Path, description: Description, *, in_background: bool = False) -> None:
        self.folder, self.description, self._in_background = folder, description, in_background
        # asked for now: it takes a while, and a control step must not wait for it
        self._revision = git_revision() or "unknown"
        self.has_fired = False
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
        if self.has_fired:
            return
        reasons = []
        if (predicted_return <= FAILED_RETURN).any():
            reasons.append("no candidate has a finite predicted return")
        failed = torch.from_numpy(~np.isfinite(adapted_error))
        if failed.any() and bool((failed & with_newest(state, inputs)[2].cpu()).any()):
            reasons.append("the prediction of this observation is not finite")
        if not reasons:
            return
        self.has_fired = True
        # the step's tensors are never written to again, so that another thread may read them
        writing = threading.Thread(name="dump", target=self._write, args=("; ".join(reasons), settings, state, inputs, noise))
        writing.start()
        if not self._in_background:
            writing.join()

    def _write(
        self, reason: str, settings: ControlSettings, state: ControllerState, inputs: StepInputs, noise: StepNoise
    ) -> None:
        score = settings.score
        reward, value, termination = score.reward, score.terminal_value, score.termination
        is_known = (
            isinstance(reward, Objective | LearnedReward)
            and isinstance(value, ValueFunction | None)
            and isinstance(termination, LearnedTermination | None)
        )
        learned = {
            "value": value if isinstance(value, ValueFunction) else None,
            "learned_reward": reward if isinstance(reward, LearnedReward) else None,
            "learned_termination": termination if isinstance(termination, LearnedTermination) else None,
        }
        configs: dict[str, Any] = {name: None if part is None else part.config for name, part in learned.items()}
        planner = dataclasses.replace(self.description.planner, risk=score.risk)
        # what is read out of the belief changes nothing about the step
        description = dataclasses.replace(self.description, **configs, planner=planner, diagnosis=None)
        if isinstance(reward, Objective):
            description = dataclasses.replace(description, terms=reward.terms, goal_names=reward.goal_names)
        about = {
            "description": to_mapping(description),
            "adapt": settings.adapt,
            "gate": None if settings.gate is None else to_mapping(settings.gate),
            "precision": settings.precision,
            "delay": None if settings.delay is None else to_mapping(settings.delay),
            "reversals": to_mapping(settings.adapter.config) if isinstance(settings.adapter, ReversalAdapter) else None,
            "uncertainty_penalty": settings.score.uncertainty_penalty,
            "objective_is_in_the_file": is_known,
        }
        tensors = {f"adapter.{name}": tensor for name, tensor in as_wired(settings.adapter).state_dict().items()}
        for part, module in learned.items():
            if module is not None:
                tensors |= {f"{part}.{name}": tensor for name, tensor in module.state_dict().items()}
        tensors |= numbered("state", tensors_of(state))
        tensors |= {f"inputs.{name}": tensor for name, tensor in inputs._asdict().items()}
        tensors["noise.plan"] = noise.plan
        if noise.belief is not None:
            tensors["noise.belief"] = noise.belief
        try:
            self.written = write_dump(self.folder, KIND, reason, about, tensors, self._revision)
            _LOG.warning("%s; replay that step: adaptive-mbrl replay %s", reason, self.written)
        except OSError as error:
            _LOG.warning("%s; that step could not be written to %s: %s", reason, self.folder, error.strerror)


def replay_control_step(dump: Dump) -> tuple[ControllerState, Plan, StepReport]:
    """Run the control step of a dump again, on the CPU.

    Where `objective_is_in_the_file` is False, the step was planned with a reward function or a terminal value of a caller's own,
    which no file can hold. The plan is then that of the checkpoint's objective, while beliefs and errors are as they were.
    """
    settings, state, inputs, noise = restored(dump)
    return control_step(state, inputs, noise, settings)


def restored(dump: Dump) -> tuple[ControlSettings, ControllerState, StepInputs, StepNoise]:
    """What a dump's control step was taken with, on the CPU: settings, the state before it, inputs and noise."""
    about = dump.about
    description = from_mapping(Description, about["description"], source="dump")
    adapter: Adapter[Any] = description.make_adapter()
    # NaN weights are what a dump may be about: they are taken as they are
    adapter.load_state_dict(dump.part("adapter"))
    # older dumps have none
    if about.get("reversals"):
        reversals = from_mapping(ReversalConfig, about["reversals"], source="dump")
        adapter = with_reversals(adapter, description.spec, reversals)
    planner = make_planner(description.spec, description.planner)
    value = None
    if description.value is not None:
        value = ValueFunction(description.spec, description.value, description.goal_names)
        value.load_state_dict(dump.part("value"))
    reward, termination = _learned(dump, description)
    # older dumps do not say the penalty, which was the planner's own
    penalty = about.get("uncertainty_penalty", planner.uncertainty_penalty)
    score = Score(description.objective if reward is None else reward, penalty, value, termination, planner.risk)
    settings = ControlSettings(
        adapter.eval(),
        planner,
        score,
        adapt=about["adapt"],
        gate=None if about["gate"] is None else from_mapping(GateConfig, about["gate"], source="dump"),
        precision=about["precision"],
        # older dumps have none
        delay=from_mapping(DelayConfig, about["delay"], source="dump") if about.get("delay") else None,
    )
    inputs = StepInputs(**dump.part("inputs"))
    template = initial_state(settings, len(inputs.obs), description.window, description.spec.obs_dim)
    stored = iter(dump.sequence("state"))

    def next_stored(tensor: Tensor) -> Tensor:
        # older dumps do not have what is believed about a delay, which comes last
        return next(stored) if "delay" in about else next(stored, tensor)

    state: ControllerState = map_belief(next_stored, template)
    noise = dump.part("noise")
    return settings, state, inputs, StepNoise(noise["plan"], noise.get("belief"))


def _learned(dump: Dump, description: Description) -> tuple[LearnedReward | None, LearnedTermination | None]:
    """The learned reward and the learned termination of a dump, where it has them."""
    reward = termination = None
    if description.learned_reward is not None:
        reward = LearnedReward(description.spec, description.learned_reward)
        reward.load_state_dict(dump.part("learned_reward"))
    if description.learned_termination is not None:
        termination = LearnedTermination(description.spec, description.learned_termination)
        termination.load_state_dict(dump.part("learned_termination"))
    return reward, termination
