"""Which belief is planned under: candidates predict every observation before it is seen, and the evidence decides.

The candidates about a robot are the prior, the belief from the whole window, and runs. A run is the belief from the last r
transitions only: dynamics may have changed r steps ago, and what came before says nothing about them. With e_c the one-step error
of candidate c about the newest observation, h the probability of a change, and w the weights, which sum to 1:

    w'(c)   = (1 - h) w(c) l(e_c),          l(e) = (e^2 + e_0^2)^(-d/2)
    w'(new) = h sum_c w(c) l(e_prior)       a run that begins with the newest transition, in place of the least probable run

and then normalised. This is Bayesian online change-point detection (Adams and MacKay 2007, arXiv 0710.3742) with a bounded number
of runs. The prior and the belief from the whole window never begin anew; they keep a small share of all weight (fixed share,
Herbster and Warmuth 1998), so that they win soon when they become better. So a belief that is carried through a robot's life is
never lost. The likelihood l is that of errors of unknown scale, since a step over a contact is mispredicted by every candidate.

The evidence is about one-step predictions where the robot has been. It does not see whether a belief is wrong about actions that
were never tried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import Belief, joined, map_belief, one_of, repeated, select
from adaptive_mbrl.config import bounded
from adaptive_mbrl.transitions import Transitions

MAX_ERROR = 1e3
"""Larger errors count alike [target stds], and so does a prediction that is no number."""
PRIOR, WHOLE = 0, 1
"""Positions of the prior and of the belief from the whole window among the candidates."""


@dataclass(frozen=True)
class GateConfig:
    """How beliefs compete for being planned under.

    Attributes:
        runs: number of runs that compete with the prior and the belief from the whole window.
        hazard: probability that the dynamics change at a control step.
        share: the share of all weight that the prior and the belief from the whole window have at least, each.
        dimensions: d. Errors of d channels that are independent would give as much evidence as those of all channels do.
        error_floor: e_0 [target stds]; smaller errors count alike.
        hysteresis: by how much another candidate's log weight must exceed that of the chosen one.
    """

    runs: int = bounded(3, low=1, high=64)
    hazard: float = bounded(0.02, low=1e-9, high=0.5)
    share: float = bounded(0.001, low=1e-9, high=0.3)
    dimensions: float = bounded(4.0, low=0.0, high=1000.0)
    error_floor: float = bounded(0.05, low=1e-6)
    hysteresis: float = bounded(1.0, low=0.0)


class GateState(NamedTuple):
    """The candidates about B robots. There are R beliefs of each robot: that from the whole window, and then the runs.

    Attributes:
        belief: of B R robots: all beliefs about the first robot, then those about the second.
        length: number of control steps since each of them began, (B, R) int64.
        log_weight: of the prior and of each of them, (B, 1 + R).
        choice: which candidate is planned under, 0 the prior, (B,) int64.
    """

    belief: Belief
    length: Tensor
    log_weight: Tensor
    choice: Tensor


def initial_gate(adapter: Adapter[Any], batch_size: int, config: GateConfig | None, device: torch.device) -> GateState:
    """The candidates before the first control step: the belief from the whole window has nearly all the weight.

    Args:
        adapter: makes beliefs.
        batch_size: B.
        config: how beliefs compete; None for no competition, in which there is only the belief from the whole window.
        device: where to compute.
    """
    runs, share = (0, 0.0) if config is None else (config.runs, config.share)
    # a run that has not begun weighs nothing, and is the first one to be replaced
    weight = torch.zeros(batch_size, 2 + runs, device=device)
    weight[:, PRIOR], weight[:, WHOLE] = share, 1 - share
    length = torch.zeros(batch_size, 1 + runs, dtype=torch.int64, device=device)
    choice = torch.full((batch_size,), WHOLE, device=device)
    return GateState(adapter.prior(batch_size * (1 + runs)), length, weight.log(), choice)


def leading(gate: GateState) -> Tensor:
    """Which of the R beliefs is planned under, or would be if there were no prior: 0 to R - 1, (B,) int64."""
    return torch.where(gate.choice == PRIOR, gate.log_weight[:, WHOLE:].argmax(1), gate.choice - WHOLE)


def chosen_belief(gate: GateState, prior: Belief) -> Belief:
    """What is planned under, of B robots; `prior` is that of B robots."""
    return select(gate.choice == PRIOR, prior, one_of(gate.belief, gate.length.shape[1], leading(gate)))


def chosen_length(gate: GateState) -> Tensor:
    """For how many control steps the belief that is planned under has been learning, (B,) int64; 0 for the prior."""
    length = gate.length.gather(1, leading(gate)[:, None])[:, 0]
    return torch.where(gate.choice == PRIOR, 0, length)


def log_likelihood(errors: Tensor, dimensions: float, error_floor: float) -> Tensor:
    """log l of one-step errors, RMS over channels in target stds: -d/2 log(e^2 + e_0^2), whatever their shape."""
    error = errors.nan_to_num(nan=MAX_ERROR).clamp(max=MAX_ERROR)
    return -0.5 * dimensions * (error.square() + error_floor**2).log()


def weighed(gate: GateState, errors: Tensor, is_told: Tensor, config: GateConfig) -> GateState:
    """The weights after one more observation, and a new run in place of the least probable one.

    The new run has length 0 and still that one's belief, until `grown`.

    Args:
        gate: the candidates that have predicted the observation.
        errors: of the prior and of each belief, RMS over channels in target stds, (B, 1 + R).
        is_told: where there is such an observation, (B,) bool; for other robots everything stays.
        config: how beliefs compete.
    """
    evidence = log_likelihood(errors, config.dimensions, config.error_floor)
    survivors = gate.log_weight + evidence + math.log1p(-config.hazard)
    # the weights sum to 1, so that the new run has the whole probability of a change
    newest = evidence[:, [PRIOR]] + math.log(config.hazard)
    lasting, runs = survivors.split([2, config.runs], dim=1)
    replaced = nn.functional.one_hot(runs.argmin(1), config.runs).bool()
    log_weight = torch.cat([lasting, torch.where(replaced, newest, runs)], dim=1).log_softmax(1)
    shares = torch.tensor([config.share] * 2 + [0.0] * config.runs, device=errors.device)
    log_weight = (shares + (1 - 2 * config.share) * log_weight.exp()).log()
    began = nn.functional.pad(replaced, (2, 0))
    kept = log_weight.gather(1, gate.choice[:, None])[:, 0]
    leaves = began.gather(1, gate.choice[:, None])[:, 0] | (log_weight.amax(1) > kept + config.hysteresis)
    choice = torch.where(leaves, log_weight.argmax(1), gate.choice)
    length = torch.where(began[:, WHOLE:], 0, gate.length)
    length, log_weight, choice = select(is_told, (length, log_weight, choice), (gate.length, gate.log_weight, gate.choice))
    return GateState(gate.belief, length, log_weight, choice)


def grown(
    gate: GateState,
    adapter: Adapter[Any],
    recent: Transitions,
    freeze: Tensor,
    prior: Belief,
    others: tuple[Belief, Transitions] | None = None,
) -> tuple[GateState, Belief]:
    """The beliefs one control step later, each from its own last transitions.

    Args:
        gate: the candidates.
        adapter: makes beliefs.
        recent: the last K transitions of B robots.
        freeze: for which robots the beliefs stay as they are, (B,) bool.
        prior: that of B robots.
        others: beliefs about the same robots, as many about each, and their last K transitions; they are updated in the same
            batch, which costs less than to update them alone.

    Returns:
        The candidates, and the other beliefs one control step later; nothing without others.
    """
    number = gate.length.shape[1]
    length = gate.length + 1
    # how far back each belief looks: the first one over the whole window
    depth = torch.cat([torch.full_like(length[:, :1], recent.valid.shape[1]), length[:, 1:]], dim=1)
    before = select((gate.length == 0).flatten(), repeated(prior, number), gate.belief)
    window = recent.repeated(number).newest(depth.flatten())
    if others is not None:
        before, window = joined(before, others[0]), joined(window, others[1])
    belief = adapter.update(before, window)
    is_kept = freeze.repeat_interleave(number)
    if others is None:
        return gate._replace(belief=select(is_kept, gate.belief, belief), length=length), ()
    own, beside = (map_belief(lambda x, part=part: x[part], belief) for part in (slice(len(is_kept)), slice(len(is_kept), None)))
    beside = select(freeze.repeat_interleave(len(others[1].valid) // len(freeze)), others[0], beside)
    return gate._replace(belief=select(is_kept, gate.belief, own), length=length), beside


def restarted(gate: GateState, is_new: Tensor, belief: Belief) -> GateState:
    """All beliefs about some of the robots, (B,) bool, begin again with `belief` of B robots."""
    number = gate.length.shape[1]
    return gate._replace(belief=select(is_new.repeat_interleave(number), repeated(belief, number), gate.belief))
