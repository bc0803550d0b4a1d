"""Mutations: ways in which the code could be wrong without an error. A pytest plugin that applies one of them.

`make test-mutations` runs tests with ``-p tests.quality.mutants`` and the name of a mutant in an environment variable. No other
file reads the variable. A mutant replaces functions of the package in the process of its test run only.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

import adaptive_mbrl.checkpoint as checkpoint_module
import adaptive_mbrl.control.step as step_module
from adaptive_mbrl.adaptation.bayes_linear import BayesLinearBelief
from adaptive_mbrl.adaptation.belief import map_belief
from adaptive_mbrl.adaptation.gradient import GradientRule
from adaptive_mbrl.adaptation.network_adapter import NetworkAdapter
from adaptive_mbrl.adaptation.reversal import ReversalAdapter
from adaptive_mbrl.control.gate import PRIOR, WHOLE, GateState, leading
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.planning.base import Planner
from adaptive_mbrl.planning.sampling import SamplingPlanner
from adaptive_mbrl.planning.score import Score
from adaptive_mbrl.transitions import Transitions

VARIABLE = "ADAPTIVE_MBRL_TEST_MUTANT"


@dataclass(frozen=True)
class Mutant:
    """One way to be wrong.

    Attributes:
        owner: the class or module whose functions are replaced.
        names: names of the functions, with spaces in between.
        wrong: makes the wrong function from the right one.
    """

    owner: Any
    names: str
    wrong: Callable[[Callable[..., Any]], Callable[..., Any]]

    def apply(self) -> None:
        """Replace the functions, for the rest of the process."""
        for name in self.names.split():
            setattr(self.owner, name, self.wrong(getattr(self.owner, name)))


def after(change: Callable[[Any], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """What was returned is changed."""

    def wrong(right: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: change(right(*args, **kwargs))

    return wrong


def scaled_inner_gradient(factor: float) -> Mutant:
    def scaled(gradient: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: factor * value for name, value in gradient.items()}

    return Mutant(GradientRule, "_inner_gradient", after(scaled))


def loaded(change: Callable[[NetworkAdapter], None]) -> Mutant:
    """What is loaded from a checkpoint is changed."""

    def wrong(right: Callable[..., None]) -> Callable[..., None]:
        def load(module: NetworkAdapter, *args: Any, **kwargs: Any) -> None:
            right(module, *args, **kwargs)
            with torch.no_grad():
                change(module)

        return load

    return Mutant(checkpoint_module, "load_weights", wrong)


def draw_weights(adapter: NetworkAdapter) -> None:
    model = adapter.model
    model.net.load_state_dict(DynamicsModel(model.spec, model.config, seed=1).net.state_dict())


def swap_two_channels(adapter: NetworkAdapter) -> None:
    normalizer = adapter.normalizer
    for statistic in (normalizer.obs_mean, normalizer.obs_std):
        statistic[:2] = statistic[:2].flip(0)


def without_the_newest(right: Callable[..., Any]) -> Callable[..., Any]:
    def update(self: NetworkAdapter, belief: Any, recent: Transitions) -> Any:
        late = Transitions(*(x.roll(1, dims=1) for x in recent))
        late.valid[:, 0] = False
        return right(self, belief, late)

    return update


def first_candidate(right: Callable[..., Any]) -> Callable[..., Any]:
    def improve(self: SamplingPlanner, state: Any, returns: Any, noise: Tensor, is_late: Any = None) -> Any:
        state, plan = right(self, state, returns, noise, is_late)
        first = self.clip(self.sample(self.init(len(state.mean)), noise[0], 0))[:, 0]
        return state, plan._replace(actions=first)

    return improve


def choosing(choice: int) -> Callable[[GateState], GateState]:
    return lambda gate: gate._replace(choice=torch.full_like(gate.choice, choice))


def never_the_prior(gate: GateState) -> GateState:
    return gate._replace(choice=WHOLE + leading(gate))


def with_the_whole_window(right: Callable[..., Any]) -> Callable[..., Any]:
    def grown(gate: GateState, adapter: Any, recent: Any, *args: Any) -> tuple[GateState, Any]:
        whole = gate._replace(length=torch.full_like(gate.length, recent.valid.shape[1]))
        after, others = right(whole, adapter, recent, *args)
        return after._replace(length=gate.length + 1), others

    return grown


def reversed_belief(prior: Any, belief: Any) -> Any:
    """What is as far from the prior as the belief, on the other side of it."""

    def opposite(before: Tensor, after: Tensor) -> Tensor:
        return 2 * before - after if after.is_floating_point() else after

    # data of which the residual has the other sign give a posterior mean with the other sign
    return tuple(
        part._replace(residual=-part.residual) if isinstance(part, BayesLinearBelief) else map_belief(opposite, before, part)
        for before, part in zip(prior, belief, strict=True)
    )


def of_every_rule(changed: Callable[[Any, Any], Any]) -> Mutant:
    """Whatever the rules are, what is believed is made of the prior and of the right belief."""

    def wrong(right: Callable[..., Any]) -> Callable[..., Any]:
        # the window is the last argument of both
        return lambda self, *args: changed(self.prior(len(args[-1].valid)), right(self, *args))

    return Mutant(NetworkAdapter, "update infer", wrong)


def of_another_robot(belief: Any) -> Any:
    return map_belief(lambda tensor: tensor.roll(1, dims=0), belief)


def without_mask(right: Callable[..., Any]) -> Callable[..., Any]:
    def particle_returns(self: Score, trajectories: Any, *args: Any) -> Any:
        return right(self, trajectories._replace(alive=None), *args)

    return particle_returns


MUTANTS = {
    "belief_reversed": of_every_rule(reversed_belief),
    "belief_is_the_prior": of_every_rule(lambda prior, belief: prior),
    "inner_gradient_reversed": scaled_inner_gradient(-1.0),
    "inner_step_zero": scaled_inner_gradient(0.0),
    "random_network_weights": loaded(draw_weights),
    "normalizer_of_two_channels_swapped": loaded(swap_two_channels),
    "window_without_the_newest_transition": Mutant(NetworkAdapter, "update", without_the_newest),
    "belief_of_another_robot_of_the_batch": Mutant(NetworkAdapter, "update", after(of_another_robot)),
    "planner_returns_its_first_candidate": Mutant(SamplingPlanner, "improve", first_candidate),
    "gate_always_takes_the_prior": Mutant(step_module, "weighed", after(choosing(PRIOR))),
    "gate_never_takes_the_prior": Mutant(step_module, "weighed", after(never_the_prior)),
    "gate_never_cuts_the_window": Mutant(step_module, "grown", with_the_whole_window),
    "signs_never_turn": Mutant(ReversalAdapter, "_told", lambda right: lambda self, signs, newest: signs),
    "actions_not_clipped": Mutant(Planner, "clip", lambda right: lambda self, actions: actions),
    "alive_mask_ignored": Mutant(Score, "particle_returns", without_mask),
}


def pytest_configure(config: pytest.Config) -> None:
    """Apply the mutant that the environment names; without a name the code stays as it is."""
    name = os.environ.get(VARIABLE, "")
    if name:
        MUTANTS[name].apply()
