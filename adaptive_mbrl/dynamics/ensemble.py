"""An ensemble of multilayer perceptrons as one batched tensor operation, functional in its parameters.

    y = f(x, gain * a, context; theta_e),    e = 1..E

Layers act on tensors (E, T, n, d): E members, T tasks (robots, or windows of a meta-batch), n inputs of one task. A parameter has
either one value per member, (E, ...), or one per member and task, (E, T, ...); the same code runs both, and the shared case is a
single batched matrix product over all tasks. Modulation parameters (`action_gain`, `context`) are the small set that adaptation
usually changes: a weak motor is an action gain, everything else is a context vector that enters like an input (CAVIA,
Zintgraf et al. 2019, arXiv 1810.03642).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["silu", "relu", "tanh"]
MODULATION = ("action_gain", "context")
"""Names of the parameters that act on the network's input."""

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"silu": nn.functional.silu, "relu": nn.functional.relu, "tanh": torch.tanh}


class EnsembleMLP(nn.Module):
    """E perceptrons of equal shape.

    Args:
        input_dim: encoded observation.
        action_dim: normalised action.
        output_dim: values predicted.
        hidden: width of each hidden layer.
        members: E.
        context_dim: length of the context vector; 0 for none.
        activation: of the hidden layers.
        generator: draws the initial weights.
    """

    def __init__(
        self,
        input_dim: int,
        action_dim: int,
        output_dim: int,
        hidden: tuple[int, ...],
        members: int,
        context_dim: int,
        activation: Activation,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.members = members
        self.activation = _ACTIVATIONS[activation]
        self.num_layers = len(hidden) + 1
        sizes = (input_dim + action_dim + context_dim, *hidden, output_dim)
        for i, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            # truncated normal; a smaller last layer begins near the mean of the targets
            weight = torch.empty(members, fan_in, fan_out)
            std = 1.0 / (2.0 * math.sqrt(fan_in)) if i == self.num_layers - 1 else 1.0 / math.sqrt(fan_in)
            nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std, generator=generator)
            self.register_parameter(f"weight_{i}", nn.Parameter(weight))
            self.register_parameter(f"bias_{i}", nn.Parameter(torch.zeros(members, 1, fan_out)))
        self.action_gain = nn.Parameter(torch.ones(members, 1, action_dim))
        self.context = nn.Parameter(torch.zeros(members, 1, context_dim))

    def forward(self, parameters: Mapping[str, Tensor], x: Tensor, action: Tensor) -> Tensor:
        """Evaluate with the given parameters, in the precision of the weights.

        Args:
            parameters: by name; each (E, ...) shared or (E, T, ...) per task.
            x: encoded observation, (E, T, n, input_dim).
            action: normalised action, (E, T, n, action_dim).

        Returns:
            (E, T, n, output_dim).
        """
        tasks, n = x.shape[1], x.shape[2]
        gain, context = (_per_task(parameters[name]) for name in MODULATION)
        context = context.expand(-1, tasks, n, -1)
        h = torch.cat([x, action * gain, context], dim=-1).to(parameters["weight_0"].dtype)
        for i in range(self.num_layers):
            h = _linear(h, parameters[f"weight_{i}"], parameters[f"bias_{i}"])
            if i < self.num_layers - 1:
                h = self.activation(h)
        return h


def _per_task(parameter: Tensor) -> Tensor:
    """(E, 1, d) or (E, T, 1, d) -> (E, 1 or T, 1, d)."""
    return parameter if parameter.dim() == 4 else parameter[:, None]


def _linear(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    shared = weight.dim() == 3
    product = torch.bmm(h.flatten(1, 2), weight).unflatten(1, h.shape[1:3]) if shared else torch.matmul(h, weight)
    return product + _per_task(bias)
