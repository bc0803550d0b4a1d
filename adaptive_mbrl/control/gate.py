"""Which belief is planned under: candidates predict every observation before it is seen, and the evidence decides.

The candidates about a robot are the prior and R runs. A run is the belief from the last r transitions only: dynamics may have
changed r steps ago, and what came before says nothing about them. With e_c the error of candidate c about the newest observation,

    log w(c) <- log w(c) - d/2 log(e_c^2 + e_0^2)        then normalised over all candidates

and a new run that begins with the newest transition, which it would have predicted with the prior, takes the place of the least
probable one. This is Bayesian online change-point detection (Adams and MacKay 2007, arXiv 0710.3742) with a bounded number of
runs. The prior keeps a share of all weight at least (fixed share, Herbster and Warmuth 1998), so that it wins soon where adapting
hurts. The likelihood is that of errors of unknown scale, since a step over a contact is mispredicted by every candidate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import Belief, map_belief, select
from adaptive_mbrl.config import bounded
from adaptive_mbrl.transitions import Transitions

MAX_LOG_ERROR = 7.0
"""Errors beyond e^7 target stds count alike; a prediction that is no number counts as such a one."""


@dataclass(frozen=True)
class GateConfig:
    """How beliefs compete. The defaults were chosen on held-out episodes of training splits.

    Attributes:
        runs: R, the number of runs that compete. With 1 there is only the belief from the whole window beside the prior.
        hazard: probability that the dynamics change at a control step.
        prior_share: the share of all weight that the prior has at least.
        dimensions: d, the number of channels that count as if they erred independently.
        error_floor: e_0 [target stds]; smaller errors count alike.
        hysteresis: by how much another candidate's log weight must exceed that of the chosen one.
    """

    runs: int = bounded(4, low=1, high=64)
    hazard: float = bounded(0.01, low=1e-9, high=0.5)
    prior_share: float = bounded(0.001, low=1e-9, high=0.5)
    dimensions: float = bounded(4.0, low=0.0, high=1000.0)
    error_floor: float = bounded(0.05, low=1e-6)
    hysteresis: float = bounded(1.0, low=0.0)


UNGATED = GateConfig(runs=1, hysteresis=1e30)
"""Plans under the belief from the whole window, whatever it is worth."""


class GateState(NamedTuple):
    """The candidates about B robots.

    Attributes:
        belief: those of the runs, of B R robots: all runs of the first robot, then those of the second.
        length: r, the number of control steps that each run looks back, (B, R) int64.
        log_weight: of the prior and of each run, (B, 1 + R).
        choice: what is planned under, 0 the prior, 1 to R a run, (B,) int64.
    """

    belief: Belief
    length: Tensor
    log_weight: Tensor
    choice: Tensor


def initial_gate(adapter: Adapter[Any], batch_size: int, config: GateConfig, device: torch.device) -> GateState:
    """The candidates before the first control step: one run has all the weight but the prior's share."""
    runs = config.runs
    log_weight = torch.full((batch_size, 1 + runs), -torch.inf, device=device)
    log_weight[:, 0] = math.log(config.prior_share)
    log_weight[:, 1] = math.log1p(-config.prior_share)
    length = torch.zeros(batch_size, runs, dtype=torch.int64, device=device)
    choice = torch.ones(batch_size, dtype=torch.int64, device=device)
    return GateState(adapter.prior(batch_size * runs), length, log_weight, choice)


def leading_run(gate: GateState) -> Tensor:
    """The run that is planned under, or would be if there were no prior: 0 to R - 1, (B,) int64."""
    return torch.where(gate.choice > 0, gate.choice - 1, gate.log_weight[:, 1:].argmax(1))


def chosen_belief(gate: GateState, prior: Belief) -> Belief:
    """What is planned under, of B robots; `prior` is that of B robots."""
    batch_size, runs = gate.length.shape
    rows = torch.arange(batch_size, device=gate.choice.device) * runs + leading_run(gate)
    return select(gate.choice == 0, prior, map_belief(lambda tensor: tensor.index_select(0, rows), gate.belief))


def chosen_length(gate: GateState) -> Tensor:
    """How many control steps the belief that is planned under looks back, (B,) int64; 0 for the prior."""
    length = gate.length.gather(1, leading_run(gate)[:, None])[:, 0]
    return torch.where(gate.choice == 0, 0, length)


def weighed(gate: GateState, errors: Tensor, is_told: Tensor, config: GateConfig) -> GateState:
    """The weights after one more observation, and a new run in place of the least probable one.

    The new run has length 0 and still that one's belief, until `grown`.

    Args:
        gate: the candidates that have predicted the observation.
        errors: of the prior and of each run, RMS over channels in target stds, (B, 1 + R).
        is_told: where there is such an observation, (B,) bool; for other robots everything stays.
        config: how beliefs compete.
    """
    log_error = (errors.square() + config.error_floor**2).log().nan_to_num(nan=2 * MAX_LOG_ERROR)
    evidence = -0.5 * config.dimensions * log_error.clamp(max=2 * MAX_LOG_ERROR)
    log_weight = gate.log_weight + evidence
    total = log_weight.logsumexp(1, keepdim=True)
    prior, runs = (log_weight - total).split([1, config.runs], dim=1)
    prior = (config.prior_share + (1 - config.prior_share) * prior.exp()).log()
    length = gate.length
    if config.runs > 1:
        replaced = nn.functional.one_hot(runs.argmin(1), config.runs).bool()
        # the new run has predicted its first observation with the prior
        newest = math.log(config.hazard) + evidence[:, :1] - total
        runs, length = torch.where(replaced, newest, runs), torch.where(replaced, 0, length)
    log_weight = torch.cat([prior, runs], dim=1)
    kept = log_weight.gather(1, gate.choice[:, None])[:, 0]
    is_new = nn.functional.pad(length == 0, (1, 0)).gather(1, gate.choice[:, None])[:, 0]
    leaves = is_new | (log_weight.amax(1) > kept + config.hysteresis)
    choice = torch.where(leaves, log_weight.argmax(1), gate.choice)
    length, log_weight, choice = select(is_told, (length, log_weight, choice), (gate.length, gate.log_weight, gate.choice))
    return GateState(gate.belief, length, log_weight, choice)


def grown(gate: GateState, adapter: Adapter[Any], recent: Transitions, freeze: Tensor) -> GateState:
    """The beliefs with the newest transition, each from its own last transitions.

    Args:
        gate: the candidates.
        adapter: makes beliefs.
        recent: the last K transitions of B robots.
        freeze: for which robots the beliefs stay as they are, (B,) bool.
    """
    batch_size, runs = gate.length.shape
    length = gate.length + 1
    age = torch.arange(recent.valid.shape[1], 0, -1, device=length.device)
    within = age <= length[..., None]
    repeated = Transitions(*(x[:, None].expand(-1, runs, *x.shape[1:]).flatten(0, 1) for x in recent))
    seen = repeated._replace(valid=repeated.valid & within.flatten(0, 1))
    before = select((gate.length == 0).flatten(), adapter.prior(batch_size * runs), gate.belief)
    belief = select(freeze.repeat_interleave(runs), gate.belief, adapter.update(before, seen))
    return gate._replace(belief=belief, length=torch.where(freeze[:, None], gate.length, length))
