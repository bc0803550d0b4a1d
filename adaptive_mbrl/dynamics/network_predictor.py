"""Predictions of the ensemble under given parameters: one step, or open loop over a horizon.

Open-loop prediction is the innermost loop of planning. What does not change from step to step is computed once: the part of the
first layer that actions and context drive, and the normalisation as affine maps. Angles are wrapped at the end only; in between
they enter as sine and cosine.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import torch
from torch import Tensor

from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network import ConditionedNetwork, Parameters, with_task_axis
from adaptive_mbrl.dynamics.normalizer import Affine
from adaptive_mbrl.healthy import is_healthy
from adaptive_mbrl.predictor import Prediction, Trajectories


class TargetPrediction(NamedTuple):
    """Normalised target of every particle.

    Attributes:
        mean: (P, B, N, obs_dim).
        log_std: log of its standard deviation, (P, B, N, obs_dim).
        features: the activations before the last layer, (P, B, N, F).
    """

    mean: Tensor
    log_std: Tensor
    features: Tensor


class NetworkPredictor:
    """A `Predictor` made of the ensemble and parameters for it.

    Args:
        model: architecture and normalizer.
        parameters: all of the network's parameters by name, each (P, ...) for all robots or (P, B, ...); the model's own if
            left out.
        affine: the normalizer's maps where they are known already.
    """

    def __init__(self, model: DynamicsModel, parameters: Parameters | None = None, affine: Affine | None = None) -> None:
        self.model = model
        self.parameters = model.net.parameters_by_name() if parameters is None else parameters
        self._affine = affine

    @property
    def affine(self) -> Affine:
        """The normalizer's maps, computed once for this predictor and those that are made from it."""
        if self._affine is None:
            self._affine = self.model.normalizer.affine()
        return self._affine

    def per_robot(self, name: str) -> Tensor:
        """A parameter with an axis for the robots, (P, B, ...); (P, 1, ...) where all of them share it."""
        return with_task_axis(self.parameters[name])

    def detached(self) -> NetworkPredictor:
        """The same dynamics with parameters that are constants for a derivative."""
        constant = {name: value.detach() for name, value in self.parameters.items()}
        return NetworkPredictor(self.model, constant, self.affine)

    def with_parameters(self, changed: Parameters) -> Self:
        """The same predictor with some parameters replaced."""
        return type(self)(self.model, {**self.parameters, **changed}, self.affine)

    def repeated(self, times: int) -> Self:
        """The same predictor with all its particles `times` times, one round of them after the other."""
        return self.with_parameters({n: value.repeat(times, *(1,) * (value.dim() - 1)) for n, value in self.parameters.items()})

    def to(self, dtype: torch.dtype) -> Self:
        """See `Predictor.to`: weights that are cast once, where autocast would cast them at every step."""
        return self.with_parameters({name: value.to(dtype) for name, value in self.parameters.items()})

    def target(self, obs: Tensor, action: Tensor) -> TargetPrediction:
        """The normalised target of one step; arguments as in `Predictor.predict`."""
        network, x, drive = self._one_step(obs, action)
        hidden = network.hidden(x, drive)
        output = network.per_task(network.last(hidden))
        return TargetPrediction(output[..., : obs.shape[-1]], self.model.log_std(output), network.per_task(hidden))

    def predict(self, obs: Tensor, action: Tensor) -> Prediction:
        """See `Predictor.predict`; the particles are one mixture."""
        return self.mixture(obs, self.target(obs, action))

    def mixture(self, obs: Tensor, target: TargetPrediction) -> Prediction:
        """Mean and standard deviation of next_obs over the particles, from the target of each; `obs` as in `predict`."""
        normalizer = self.model.normalizer
        particles = normalizer.wrap(self.affine.advance(obs, target.mean.to(obs.dtype)))
        first = particles[:1]
        # particles are averaged as deviations from the first one, so that angles near +-pi are averaged on the circle
        deviation = normalizer.error(particles, first)
        mean_deviation = deviation.mean(0)
        mean = normalizer.shift(first[0], mean_deviation)
        variance = target.log_std.exp().square().mean(0) + (deviation - mean_deviation).square().mean(0)
        return Prediction(mean, variance.sqrt() * normalizer.target_std)

    def roll_out(self, obs: Tensor, actions: Tensor) -> Trajectories:
        """See `Predictor.roll_out`."""
        (tasks, candidates, horizon, _), obs_dim = actions.shape, obs.shape[-1]
        network, affine = self._network(tasks), self.affine
        drive = network.drive(self.model.normalizer.encode_action(actions))
        start = obs[None, :, None].expand(network.particles, tasks, candidates, obs_dim)
        state = network.grouped_rows(start)
        next_state = _next_state if torch.is_grad_enabled() else _next_state_compiled_once
        steps = []
        for h in range(horizon):
            state = next_state(network, affine, state, drive[:, h])
            steps.append(state)
        next_obs = self.model.normalizer.wrap(torch.stack(steps, dim=-2))
        next_obs = next_obs.reshape(network.particles, tasks, candidates, horizon, obs_dim)
        spec = self.model.spec
        return Trajectories(next_obs, is_healthy(spec, next_obs) if spec.can_end else None)

    def features(self, obs: Tensor, action: Tensor) -> Tensor:
        """See `Predictor.features`: the activations before the last layer."""
        return self.target(obs, action).features

    def linearised(self, obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """The normalised target's mean, and how it changes with the modulation.

        Args:
            obs: (B, N, obs_dim).
            action: (B, N, action_dim).

        Returns:
            The mean, (P, B, N, obs_dim), and its Jacobian, (P, B, N, D, obs_dim): one row for each of the D parameters of
            `MODULATION`, the action gains first.
        """
        network, x, drive = self._one_step(obs, action)
        output, jacobian = network.linearised(x, drive, self.model.normalizer.encode_action(action))
        rows = jacobian.reshape(network.particles, *obs.shape[:2], *jacobian.shape[2:])
        return network.per_task(output)[..., : obs.shape[-1]], rows[..., : obs.shape[-1]]

    def error(self, predicted: Tensor, observed: Tensor) -> Tensor:
        """See `Predictor.error`."""
        return self.model.normalizer.error(predicted, observed)

    def shift(self, obs: Tensor, error: Tensor) -> Tensor:
        """See `Predictor.shift`."""
        return self.model.normalizer.shift(obs, error)

    def _one_step(self, obs: Tensor, action: Tensor) -> tuple[ConditionedNetwork, Tensor, Tensor]:
        """The network, its encoded observations (G, R, columns) and what actions and context drive, (G, R, width)."""
        normalizer = self.model.normalizer
        network = self._network(len(obs))
        x = network.grouped_rows(self.affine.encode(obs).expand(network.particles, -1, -1, -1))
        return network, x, network.drive(normalizer.encode_action(action)[:, :, None])[:, 0]

    def _network(self, tasks: int) -> ConditionedNetwork:
        return ConditionedNetwork(self.model.net, self.parameters, tasks, self.affine.input_rows)


def _next_state(network: ConditionedNetwork, affine: Affine, state: Tensor, drive: Tensor) -> Tensor:
    """The rows one step later, (G, R, obs_dim), with angles not yet wrapped."""
    output = network.output(affine.encode(state), drive)
    return affine.advance(state, output[..., : state.shape[-1]].to(state.dtype))


_next_state_compiled_once = torch.compiler.nested_compile_region(_next_state)
"""The same. A compiler makes one piece of it, however many steps there are; it cannot be differentiated in there."""
