"""The control step, adapting included, as one program of PyTorch (`torch.export`), which keeps its state between calls."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule
from torch.utils import _pytree as pytree

from adaptive_mbrl.control.step import StepInputs, StepNoise, control_step, initial_state
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.export.tracing import traced
from adaptive_mbrl.planning.sampling import SamplingPlanner

OUTPUTS = ("actions", "prior_error", "adapted_error", "run_length", "predicted_return", "diagnosis", "delay", "sign")
"""What the program returns, in this order: the plan, and entries of `StepReport`."""


class StepProgram(nn.Module):
    """A control step that carries its state in buffers, so that a call needs only what is new.

    Args:
        step: a traced step: state and inputs -> new state and outputs.
        initial: the tensors of the state before the first step.
    """

    def __init__(self, step: GraphModule, initial: list[Tensor]) -> None:
        super().__init__()
        self._step, self._number = step, len(initial)
        for i, value in enumerate(initial):
            self.register_buffer(f"initial_{i}", value.clone())
            self.register_buffer(f"state_{i}", value.clone())

    def forward(
        self, obs: Tensor, goal: Tensor, sent: Tensor, connected: Tensor, reset: Tensor, *noise: Tensor
    ) -> tuple[Tensor, ...]:
        state = [self.get_buffer(f"state_{i}") for i in range(self._number)]
        begin = [torch.where(reset, self.get_buffer(f"initial_{i}"), value) for i, value in enumerate(state)]
        new, outputs = self._step(begin, obs, goal, sent, connected, *noise)
        for value, changed in zip(state, new, strict=True):
            value.copy_(changed)
        return tuple(outputs)


def example_inputs(controller: AdaptiveController, robots: int) -> dict[str, Tensor]:
    """Inputs of the right shapes, by their names and in their order.

    Raises:
        ConfigError: the planner draws no noise beforehand, as `gradient` does not.
    """
    settings, spec, planner = controller.settings, controller.spec, _planner(controller)
    inputs = {
        "obs": torch.zeros(robots, spec.obs_dim),
        "goal": torch.zeros(robots, settings.score.reward.goal_dim),
        "sent": torch.zeros(robots, spec.action_dim),
        "connected": torch.ones(robots, dtype=torch.bool),
        "reset": torch.tensor(True),
        "noise": torch.zeros(planner.num_iterations, planner.num_samples, planner.horizon, planner.action_dim),
    }
    state = initial_state(settings, robots, controller.window, spec.obs_dim)
    drawn = settings.adapter.draw_noise(state.gate.belief, torch.Generator().manual_seed(0))
    return inputs if drawn is None else inputs | {"belief_noise": drawn}


def export_step(controller: AdaptiveController, robots: int = 1) -> ExportedProgram:
    """The control step of so many robots as a program, with the controller's settings.

    The controller itself is left as it is. Its noise is an input of the program, standard normal; the program colours it.

    Raises:
        ConfigError: see `example_inputs`.
    """
    inputs = example_inputs(controller, robots)
    step, initial = _traced_step(controller, inputs)
    with torch.no_grad():
        return torch.export.export(StepProgram(step, initial), tuple(inputs.values()))


def _planner(controller: AdaptiveController) -> SamplingPlanner:
    planner = controller.settings.planner
    if not isinstance(planner, SamplingPlanner):
        name = type(planner).__name__
        raise ConfigError(f"--planner: {name} cannot be exported; allowed: cem, icem, mppi, random_shooting")
    return planner


def _traced_step(controller: AdaptiveController, inputs: dict[str, Tensor]) -> tuple[GraphModule, list[Tensor]]:
    """The step as plain operations on tensors, and its first state."""
    settings, planner = controller.settings, _planner(controller)
    state = initial_state(settings, len(inputs["obs"]), controller.window, controller.spec.obs_dim)
    initial, layout = pytree.tree_flatten(state)

    def step(
        leaves: list[Tensor], obs: Tensor, goal: Tensor, sent: Tensor, connected: Tensor, white: Tensor, *belief_noise: Tensor
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        none_pending, whole_period = sent.new_zeros(len(sent), 0, sent.shape[1]), sent.new_ones(len(sent), 1)
        known = StepInputs(obs, obs, goal, sent, connected, none_pending, whole_period, torch.zeros_like(connected))
        noise = StepNoise(planner.coloured(white.flatten(0, 1)).unflatten(0, white.shape[:2]), *belief_noise)
        new, plan, report = control_step(pytree.tree_unflatten(leaves, layout), known, noise, settings)
        found = {"actions": plan.actions, **report._asdict()}
        return pytree.tree_flatten(new)[0], tuple(found[name] for name in OUTPUTS)

    values = [value for name, value in inputs.items() if name != "reset"]
    return traced(step, initial, *values), initial
