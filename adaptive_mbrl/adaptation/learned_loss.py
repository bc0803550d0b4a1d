r"""Inner gradient steps on a meta-learned loss: the idea of MetaGenRL (Kirsch et al. 2019, arXiv 1910.04098), for dynamics.

    phi_0 = prior,   phi_{i+1} = phi_i - alpha * grad_phi L(D; phi_i)
    L(D; phi) = mean_k sum_c  w(k, c; phi) * e_kc^2,      w = exp(3 tanh(net(features of k and c)))

e_kc is the error of channel c at the valid transition k, in target stds, under the input modulation phi. One small network sees
every channel of every transition by itself: its errors under phi and under the prior, what it did, how consistent its error is
along the window, how wrong the whole transition was, how long ago it was, and how many transitions there are. It says what is
worth explaining: not a spike of a sensor, not a channel that is noise.

The network is trained with all else, by the derivative of the outer loss through the inner steps. Before that w = 1, which is
the loss of the rule `gradient`. Whatever it has learned, a window that is predicted without error asks for no step. None of its
shapes depends on the robot, and since the sign of a channel is a convention, it sees only products that do not change when a
channel's sign is turned. So what was learned on some robots is of use for another one (`transfer_learned_loss`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import ParameterGroup
from adaptive_mbrl.adaptation.gradient import GradientConfig, GradientRule, InnerLoss
from adaptive_mbrl.adaptation.network_adapter import NetworkAdapter
from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.transitions import Transitions

_NUM_FEATURES = 9


@dataclass(frozen=True)
class LearnedLossConfig:
    """The inner update and the network of its loss.

    Attributes:
        steps: number of inner gradient steps.
        learning_rate: where meta-learning of the step sizes starts; there is one for action gains and one for the context.
        step_size_learning_rate: the outer loop's rate for the step sizes, which live on a log scale.
        hidden: width of the loss network's two hidden layers; robots that share a loss need the same.
        seed: fixes its initial weights.
    """

    TAG: ClassVar[str] = "learned_loss"

    steps: int = bounded(2, low=1, high=50)
    learning_rate: float = bounded(1.0, low=1e-6)
    step_size_learning_rate: float = bounded(1e-2, low=0.0)
    hidden: int = bounded(32, low=1, high=1024)
    seed: int = bounded(0, low=0, high=2**31 - 1)

    def make(self, model: DynamicsModel, window: int) -> LearnedLossRule:
        """The rule for a model, whatever the window."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return LearnedLossRule(model, self)


class LearnedLoss(nn.Module):
    """The loss network; nothing in it depends on the robot.

    Args:
        hidden: width of its two hidden layers.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        last = nn.Linear(hidden, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(nn.Linear(_NUM_FEATURES, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last)

    def forward(self, error: Tensor, surprise: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """The loss of each task under each particle, (P, T); 0 for a task without a valid transition.

        Args:
            error: under the present parameters, in target stds, (P, T, K, obs_dim).
            surprise: the same under the prior, a constant, (P, T, K, obs_dim).
            target: what should have been predicted, (T, K, obs_dim).
            valid: (T, K) bool.
        """
        known = valid[..., None]
        count = known.sum(1, keepdim=True).clamp(min=1)

        def along_window(x: Tensor) -> Tensor:
            return (torch.where(known, x, 0.0).sum(2, keepdim=True) / count).expand_as(error)

        age = torch.arange(valid.shape[1] - 1, -1, -1, device=error.device)[:, None]
        features = [
            error.square(),
            error * surprise,
            surprise.square(),
            target.square().expand_as(error),
            error * along_window(surprise),
            along_window(surprise.square()),
            surprise.square().mean(-1, keepdim=True).expand_as(error),
            age.to(error).expand_as(error),
            count.to(error).expand_as(error),
        ]
        # asinh: like the value itself where that is small, and like its logarithm where it is large
        weight = (3 * torch.tanh(self.net(torch.stack(features, dim=-1).asinh())[..., 0])).exp()
        return torch.where(known, weight * error.square(), 0.0).sum(-1).sum(-1) / count[:, 0, 0]


class LearnedLossRule(GradientRule):
    """A few gradient steps of the input modulation on a learned loss, from the prior.

    Args:
        model: gives the names and shapes of the parameters.
        config: the inner update and the network of its loss.
    """

    def __init__(self, model: DynamicsModel, config: LearnedLossConfig) -> None:
        # the loss learns from its effect on the adapted parameters alone, which only the second order sees
        step_size_rate = config.step_size_learning_rate
        inner = GradientConfig("modulation", config.steps, config.learning_rate, "per_tensor", True, 0.0, step_size_rate)
        super().__init__(model, inner)
        self.loss = LearnedLoss(config.hidden)

    def inner_loss(self, recent: Transitions, base: NetworkPredictor) -> InnerLoss:
        target = base.model.normalizer.target(recent.obs, recent.next_obs)
        surprise = (base.target(recent.obs, recent.action).mean - target).detach()

        def loss(adapted: NetworkPredictor) -> Tensor:
            error = adapted.target(recent.obs, recent.action).mean - target
            return self.loss(error, surprise, target, recent.valid)

        return loss

    def parameter_groups(self) -> list[ParameterGroup]:
        step_sizes = [p for p in self.log_step_sizes.parameters() if p.requires_grad]
        network = [p for p in self.loss.parameters() if p.requires_grad]
        return [ParameterGroup(step_sizes, learning_rate=self.config.step_size_learning_rate), ParameterGroup(network)]


def transfer_learned_loss(source: NetworkAdapter, target: NetworkAdapter) -> None:
    """Give the target the source's learned loss and its step sizes; both adapters may be of different robots.

    Args:
        source: an adapter with a rule `learned_loss`.
        target: another one, with a loss network of the same width. What its model lacks, such as a context, is left out.

    Raises:
        ConfigError: an adapter has no such rule, or the widths differ.
    """
    given, taken = _learned_loss_of(source), _learned_loss_of(target)
    widths = [rule.loss.net[0].out_features for rule in (given, taken)]
    if widths[0] != widths[1]:
        raise ConfigError(f"key 'hidden': the learned loss of the source has width {widths[0]}, that of the target {widths[1]}")
    taken.loss.load_state_dict(given.loss.state_dict())
    with torch.no_grad():
        for name, step_size in taken.log_step_sizes.items():
            if name in given.log_step_sizes:
                step_size.copy_(given.log_step_sizes[name])


def _learned_loss_of(adapter: NetworkAdapter) -> LearnedLossRule:
    for rule in adapter.rules:
        if isinstance(rule, LearnedLossRule):
            return rule
    raise ConfigError("key 'adaptation': no rule learned_loss, whose loss could be transferred")
