"""An ensemble of multilayer perceptrons as batched matrix products, functional in its parameters.

    y = f(x, gain * a, context; theta_e),    e = 1..E

A parameter has either one value per member, (E, ...), or one per member and task, (E, T, ...), where a task is a robot or a
window of a meta-batch. Rows that share their weights are multiplied as one group: G = E groups of T n rows where all tasks share
a layer's weights, G = E T groups of n rows where each task has its own.

Modulation parameters (`action_gain`, `context`) are the small set that adaptation usually changes: a weak motor is an action
gain, everything else is a context vector that enters like an input (CAVIA, Zintgraf et al. 2019, arXiv 1810.03642).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

Activation = Literal["silu", "relu", "tanh"]
Parameters = Mapping[str, Tensor]
MODULATION = ("action_gain", "context")
"""Names of the parameters that act on the network's input."""

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"silu": nn.functional.silu, "relu": nn.functional.relu, "tanh": torch.tanh}


def _silu_slope(x: Tensor) -> Tensor:
    gate = torch.sigmoid(x)
    return gate * (1 + x * (1 - gate))


_SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": _silu_slope,
    "relu": lambda x: (x > 0).to(x),
    "tanh": lambda x: 1 - torch.tanh(x).square(),
}
"""The activations' derivatives."""


class EnsembleMLP(nn.Module):
    """E perceptrons of equal shape.

    Args:
        input_dim: length of an encoded observation.
        action_dim: length of a normalised action.
        output_dim: number of predicted values.
        hidden: width of each hidden layer.
        members: E.
        context_dim: length of the context vector; 0 for none.
        activation: function between the layers.
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
        self.input_dim, self.members = input_dim, members
        self.activation, self.slope = _ACTIVATIONS[activation], _SLOPES[activation]
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

    def parameters_by_name(self) -> dict[str, Tensor]:
        """The network's own parameters, one value per member."""
        return {name: parameter for name, parameter in self._parameters.items() if parameter is not None}


class ConditionedNetwork:
    """The network with given parameters; what depends on actions and context alone is computed apart, once for all steps.

    Args:
        net: the architecture.
        parameters: all parameters by name, each (P, ...) or (P, T, ...); P is E, or a multiple of it.
        tasks: T.
        input_rows: the network's input for each column of what `hidden` and `output` get, where they are not the same.
    """

    def __init__(self, net: EnsembleMLP, parameters: Parameters, tasks: int, input_rows: Tensor | None = None) -> None:
        self.particles, self.tasks = parameters["weight_0"].shape[0], tasks
        self._activation, self._slope = net.activation, net.slope
        layers = [self._grouped(parameters[f"weight_{i}"], parameters[f"bias_{i}"]) for i in range(net.num_layers)]
        (first, self._first_bias), *self._layers = layers
        self._driven = first[:, net.input_dim :]
        self._observed = first[:, : net.input_dim] if input_rows is None else first.index_select(1, input_rows)
        self._gain, self._context = (with_task_axis(parameters[name]) for name in MODULATION)

    def grouped_rows(self, x: Tensor) -> Tensor:
        """(P, T, n, d) -> the rows of the first layer, (G, R, d)."""
        return x.reshape(len(self._driven), -1, x.shape[-1])

    def drive(self, actions: Tensor) -> Tensor:
        """What actions and context add to the first layer at each of H steps.

        Args:
            actions: normalised, (T, n, H, action_dim).

        Returns:
            (G, H, R, width of the first layer).
        """
        tasks, n, horizon, _ = actions.shape
        groups = len(self._driven)
        u = actions.transpose(1, 2)[None] * self._gain[:, :, None]
        inputs = torch.cat([u, self._context[:, :, None].expand(*u.shape[:-1], -1)], dim=-1).to(self._driven.dtype)
        # (P, T, H, n, .); where the tasks share the first layer, the rows of all tasks lie together: (P, H, T, n, .)
        shared = groups == self.particles
        rows = tasks * n if shared else n
        inputs = (inputs.transpose(1, 2) if shared else inputs).reshape(groups, horizon * rows, -1)
        return torch.baddbmm(self._first_bias, inputs, self._driven).unflatten(1, (horizon, rows))

    def hidden(self, x: Tensor, drive: Tensor) -> Tensor:
        """Activations before the last layer, (G, R, width), from encoded observations (G, R, columns) and one step's drive."""
        h = torch.baddbmm(drive, x.to(self._observed.dtype), self._observed)
        for weight, bias in self._layers[:-1]:
            h = _product(self._activation(h), weight, bias)
        return self._activation(h) if self._layers else h

    def output(self, x: Tensor, drive: Tensor) -> Tensor:
        """The network's output, (G, R, output_dim) in the grouping of the first layer; arguments as in `hidden`."""
        return self.last(self.hidden(x, drive))

    def last(self, hidden: Tensor) -> Tensor:
        """The network's output, (G, R, output_dim) in the grouping of the first layer, from what `hidden` returned."""
        h = _product(hidden, *self._layers[-1]) if self._layers else hidden
        return _regrouped(h, len(self._driven))

    def linearised(self, x: Tensor, drive: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """The network's output and its Jacobian with respect to the modulation, action gains first.

        It is differentiated forwards: the modulation has few parameters, and the tangent of each goes through the layers as
        one more row of the same products.

        Args:
            x: encoded observations, (G, R, columns).
            drive: of these actions, at one step.
            actions: normalised, (T, n, action_dim).

        Returns:
            The output (G, R, output_dim) in the grouping of the first layer, and (G, R, D, output_dim) for D parameters.
        """
        # a gain acts in proportion to its action, an entry of the context directly
        inputs = torch.cat([actions, actions.new_ones(*actions.shape[:-1], self._context.shape[-1])], dim=-1)
        inputs = self.grouped_rows(inputs.expand(self.particles, -1, -1, -1))
        tangents = inputs.to(self._driven)[..., None] * self._driven[:, None]
        h = torch.baddbmm(drive, x.to(self._observed.dtype), self._observed)
        for weight, bias in self._layers:
            tangents = self._slope(h)[:, :, None] * tangents
            h = _product(self._activation(h), weight, bias)
            tangents = (_regrouped(tangents.flatten(1, 2), len(weight)) @ weight).unflatten(1, (h.shape[1], -1))
        groups = len(self._driven)
        return _regrouped(h, groups), tangents.reshape(groups, -1, *tangents.shape[2:])

    def per_task(self, rows: Tensor) -> Tensor:
        """(G, R, d) -> (P, T, n, d)."""
        return rows.reshape(self.particles, self.tasks, -1, rows.shape[-1])

    def _grouped(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        if weight.dim() == 3 and bias.dim() == 3:
            return weight, bias
        expanded = (p if p.dim() == 4 else p[:, None].expand(-1, self.tasks, -1, -1) for p in (weight, bias))
        own_weight, own_bias = (p.flatten(0, 1) for p in expanded)
        return own_weight, own_bias


def with_task_axis(parameter: Tensor) -> Tensor:
    """A parameter of all tasks, (P, ...), or of each, (P, T, ...) -> (P, 1 or T, ...)."""
    return parameter if parameter.dim() == 4 else parameter[:, None]


def _regrouped(h: Tensor, groups: int) -> Tensor:
    return h if len(h) == groups else h.reshape(groups, -1, h.shape[-1])


def _product(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.baddbmm(bias, _regrouped(h, len(weight)), weight)
