"""How late do actions act? Every delay is a hypothesis, under which the same belief is formed of other actions.

A network whose inputs are the observation and one action cannot express that actions act d control steps late: what it adapts
then explains the wrong actions. But if a_{t-d} is what acts at t, then the transitions (o_t, a_{t-d}, o_{t+1}) are those of a
robot without a delay, of which the network knows how to learn. So for each delay d = 0..D there is a belief from the last K
transitions with the actions of d steps before, and it predicts the newest transition before it has seen it. With its error e_d,
RMS over channels in target stds,

    log w(d) <- k log w(d) - n/2 log(e_d^2 + e_0^2),      largest log w = 0

This is a bank of filters (Magill, Optimal adaptive estimation of sampled stochastic processes, 1965) with the gate's likelihood.
The most probable delay is the one that the gate's beliefs are formed under, and that candidate plans are delayed by: what was
sent before the plan acts first. What a rule carries from step to step begins again with what it carried under that delay.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import Belief, one_of, select
from adaptive_mbrl.config import bounded
from adaptive_mbrl.control.gate import log_likelihood
from adaptive_mbrl.transitions import Transitions

LONGEST_DELAY = 8
"""The longest delay that can be considered [control steps]."""
_ONE_STEP_LESS = math.log(4.0)
"""Log odds of one control step less of delay, before anything was seen."""
_HOPELESS = 20.0
"""A delay never becomes less probable than this [log odds]: it may come."""


@dataclass(frozen=True)
class DelayConfig:
    """How the delay of actions is found.

    Attributes:
        max_delay: D, the longest delay that is considered [control steps].
        memory: k, weight of the past in the log odds.
        dimensions: n. Errors of n channels that are independent would give as much evidence as those of all channels do.
        error_floor: e_0 [target stds]; smaller errors count alike.
        hysteresis: by how much another delay's log odds must exceed those of the chosen one.
    """

    max_delay: int = bounded(2, low=1, high=LONGEST_DELAY)
    memory: float = bounded(0.9, low=0.0, high=1.0)
    dimensions: float = bounded(4.0, low=0.0, high=1000.0)
    error_floor: float = bounded(0.05, low=1e-6)
    hysteresis: float = bounded(2.0, low=0.0, high=10.0)


class DelayState(NamedTuple):
    """What is believed about the delay of B robots.

    Attributes:
        log_odds: of each delay, the largest is 0, (B, 1 + D).
        choice: the one that is believed [control steps], (B,) int64.
        belief: from the last K transitions under each delay, of B (1 + D) robots: all about the first robot, then those about the
            second. Nothing where no delay is considered.
        follows: whether each of the last K + D transitions begins where the one before it ended, (B, K + D) bool.
        is_appended: whether the last control step ended the newest of them, and not one that was left out, (B,) bool.
    """

    log_odds: Tensor
    choice: Tensor
    belief: Belief
    follows: Tensor
    is_appended: Tensor

    @property
    def longest(self) -> int:
        """D."""
        return self.log_odds.shape[1] - 1

    def appended(self, before: Transitions, is_valid: Tensor, is_kept: Tensor) -> DelayState:
        """The same when there is another transition.

        Args:
            before: the last K + D transitions without it.
            is_valid: whether it is one to learn from, (B,) bool.
            is_kept: where it is left out, (B,) bool.
        """
        newest = is_valid & before.valid[:, -1] & self.is_appended
        follows = torch.cat([self.follows[:, 1:], newest[:, None]], 1)
        return self._replace(follows=torch.where(is_kept[:, None], self.follows, follows), is_appended=~is_kept)

    def is_known(self, delay: Tensor) -> Tensor:
        """Whether it is known what acted in the newest transition if actions act so late [control steps], (B,): (B,) bool."""
        steps = self.follows.shape[1]
        newest_first = self.follows[:, steps - self.longest :].flip(1)
        return (newest_first | (delay[:, None] <= torch.arange(self.longest, device=delay.device))).all(1)

    def hypotheses(self, recent: Transitions) -> Transitions:
        """What is learned from under each delay, (B (1 + D), K, ...), of the last K + D transitions."""
        number = self.longest + 1
        delays = torch.arange(number, device=self.choice.device).repeat(len(self.choice))
        return as_applied(recent.repeated(number), self.follows.repeat_interleave(number, 0), delays, self.longest)

    def past(self, recent: Transitions) -> Tensor:
        """The last D actions that were sent, oldest first, (B, D, action_dim)."""
        return _own(recent.action[:, recent.action.shape[1] - self.longest :])

    def acted(self, recent: Transitions) -> Transitions:
        """What is learned from under the delay that is believed, (B, K, ...)."""
        return as_applied(recent, self.follows, self.choice, self.longest) if self.longest else recent

    def chosen(self) -> Belief:
        """The belief under the delay that is believed, of B robots."""
        return one_of(self.belief, 1 + self.longest, self.choice)


def initial_delay(
    adapter: Adapter[Any], batch_size: int, window: int, config: DelayConfig | None, device: torch.device
) -> DelayState:
    """Actions are believed to act at once; without a config nothing else is possible. `window` is K."""
    longest = 0 if config is None else config.max_delay
    log_odds = -_ONE_STEP_LESS * torch.arange(longest + 1, dtype=torch.float32, device=device).repeat(batch_size, 1)
    choice = torch.zeros(batch_size, dtype=torch.int64, device=device)
    follows = torch.zeros(batch_size, window + longest, dtype=torch.bool, device=device)
    belief = adapter.prior(batch_size * (longest + 1)) if longest else ()
    return DelayState(log_odds, choice, belief, follows, torch.ones(batch_size, dtype=torch.bool, device=device))


def as_applied(recent: Transitions, follows: Tensor, delay: Tensor, longest: int) -> Transitions:
    """The newest K of K + D transitions with the actions that acted in them, if actions act `delay` control steps late.

    What acted is not known right after a gap, or after transitions that were left out; these transitions are not valid.

    Args:
        recent: with the actions of the same control steps, (B, K + D, ...).
        follows: whether each of them begins where the one before it ended, (B, K + D) bool.
        delay: of each robot [control steps], (B,) int64.
        longest: D.
    """
    steps = recent.valid.shape[1]
    valid = recent.valid[:, longest:]
    for late in range(1, longest + 1):
        valid = valid & (follows[:, longest - late + 1 : steps - late + 1] | (delay < late)[:, None])
    at = torch.arange(longest, steps, device=delay.device) - delay[:, None]
    action = recent.action.gather(1, at[..., None].expand(-1, -1, recent.action.shape[-1]))
    return Transitions(recent.obs[:, longest:], action, recent.next_obs[:, longest:], valid)


def applied(past: Tensor, actions: Tensor, delay: Tensor) -> Tensor:
    """The actions that act, of those that are sent one after the other.

    Args:
        past: the last D actions that were sent before, oldest first, (B, D, action_dim).
        actions: N candidates that are sent, (B, N, H, action_dim).
        delay: of each robot [control steps], (B,) int64.

    Returns:
        (B, N, H, action_dim).
    """
    number, horizon, dim = actions.shape[1:]
    longest = past.shape[1]
    if not longest:
        return actions
    sent = torch.cat([past[:, None].expand(-1, number, -1, -1), actions], 2)
    at = torch.arange(longest, longest + horizon, device=delay.device) - delay[:, None]
    return sent.gather(2, at[:, None, :, None].expand(-1, number, -1, dim))


def after_sending(past: Tensor, actions: Tensor) -> Tensor:
    """The last D actions that were sent, (B, D, action_dim), after some more, (B, number, action_dim)."""
    return _own(torch.cat([past, actions], 1)[:, actions.shape[1] :])


def weighed_delays(state: DelayState, errors: Tensor, is_told: Tensor, config: DelayConfig) -> DelayState:
    """The odds of the delays after one more observation.

    Args:
        state: whose beliefs have predicted the observation.
        errors: of each of them, RMS over channels in target stds, (B, 1 + D).
        is_told: where there is such an observation, (B,) bool; for other robots everything stays.
        config: how the delay is found.
    """
    log_odds = config.memory * state.log_odds + log_likelihood(errors, config.dimensions, config.error_floor)
    log_odds = (log_odds - log_odds.amax(1, keepdim=True)).clamp(min=-_HOPELESS)
    kept = log_odds.gather(1, state.choice[:, None])[:, 0]
    choice = torch.where(-kept > config.hysteresis, log_odds.argmax(1), state.choice)
    log_odds, choice = select(is_told, (log_odds, choice), (state.log_odds, state.choice))
    return state._replace(log_odds=log_odds, choice=choice)


def _own(part: Tensor) -> Tensor:
    """A part of a tensor, laid out as if it had always been alone, so that one compiled graph serves all steps."""
    return part.clone(memory_format=torch.contiguous_format)
