"""What every adaptation rule is.

Given the last K transitions D of a robot with unknown dynamics, a rule returns a belief b = u(D) under which the model predicts
the next steps better than under its prior:

    maximise over meta-parameters   E_task E_(D, D') [ log p(D' | u(D)) ]        D' = the steps that follow D

State goes in and comes out: a belief is a value; nothing about `predict` changes behind the caller's back.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from adaptive_mbrl.dynamics.model import DynamicsModel, Parameters
from adaptive_mbrl.transitions import Prediction, Transitions

BeliefT = TypeVar("BeliefT", bound=tuple)


class Adapter(nn.Module, Generic[BeliefT]):
    """Owns the meta-parameters: the model's and those of the rule.

    Args:
        model: the dynamics model that the belief conditions.
    """

    def __init__(self, model: DynamicsModel) -> None:
        super().__init__()
        self.model = model

    @abstractmethod
    def prior(self, batch_size: int) -> BeliefT:
        """Belief about `batch_size` robots before any transition."""

    @abstractmethod
    def update(self, belief: BeliefT, recent: Transitions) -> BeliefT:
        """Belief after seeing `recent`; transitions with ``valid == False`` have no influence."""

    @abstractmethod
    def parameters_of(self, belief: BeliefT) -> Parameters:
        """The network parameters that the belief stands for."""

    @abstractmethod
    def select(self, use_first: Tensor, first: BeliefT, second: BeliefT) -> BeliefT:
        """Robot by robot one of two beliefs; `use_first`: (B,) bool."""

    def predict(self, belief: BeliefT, obs: Tensor, action: Tensor) -> Prediction:
        """Predict one step; the ensemble is one mixture.

        Args:
            belief: of B robots.
            obs: (B, N, obs_dim).
            action: (B, N, action_dim).

        Returns:
            Mean and std of next_obs, each (B, N, obs_dim).
        """
        normalizer = self.model.normalizer
        target = self.model.predict_target(self.parameters_of(belief), obs, action)
        members = normalizer.decode(obs, target.mean)
        first = members[:1]
        # members are averaged as deviations from the first one, so that angles near +-pi are averaged on the circle
        deviation = normalizer.error(members, first)
        mean_deviation = deviation.mean(0)
        mean = normalizer.shift(first[0], mean_deviation)
        variance = target.log_std.exp().square().mean(0) + (deviation - mean_deviation).square().mean(0)
        return Prediction(mean, variance.sqrt() * normalizer.target_std)

    def roll_out(self, belief: BeliefT, obs: Tensor, actions: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """Open-loop rollout of candidate action sequences under the belief.

        Args:
            belief: of B robots.
            obs: (B, obs_dim).
            actions: (B, N, H, action_dim).
            dtype: of the network's weights and products, where another one than theirs is faster.

        Returns:
            Next observations of every ensemble member, (E, B, N, H, obs_dim).
        """
        start = obs[:, None].expand(-1, actions.shape[1], -1)
        parameters = self.parameters_of(belief)
        if dtype is not None:
            parameters = {name: value.to(dtype) for name, value in parameters.items()}
        return self.model.roll_out(parameters, start, actions)


def one_step_loss(model: DynamicsModel, parameters: Parameters, recent: Transitions) -> Tensor:
    """Mean squared one-step error of each task over its valid transitions.

    A learned variance does not enter: a likelihood would scale the inner step with the model's own certainty.

    Returns:
        (E, T): in squared target stds, summed over channels; 0 for a task without a valid transition.
    """
    # whatever stands in an invalid transition, NaN too, must not reach the gradient, where 0 * NaN is NaN
    obs, action, next_obs = (torch.where(recent.valid[..., None], x, 0.0) for x in recent[:3])
    predicted = model.predict_target(parameters, obs, action).mean
    squared = (predicted - model.normalizer.target(obs, next_obs)).square()
    weight = recent.valid.to(squared)
    count = weight.sum(1).clamp(min=1)
    return (torch.where(recent.valid[..., None], squared, 0.0).sum(-1)).sum(-1) / count
