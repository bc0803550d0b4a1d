"""Scenarios on simulated robots: how their episodes start, and the changes that are due."""

from __future__ import annotations

from collections.abc import Sequence

from sim.scenarios.scenario import Scenario
from sim.simulation.base import Obs, Simulation


def start(simulation: Simulation, scenarios: Sequence[Scenario]) -> Obs:
    """Reset one robot per scenario, each under the change in force at step 0, and return the first observation, (B, obs_dim)."""
    return simulation.reset([s.seed for s in scenarios], [s.change_in_force(0) for s in scenarios])


def apply_changes(simulation: Simulation, scenarios: Sequence[Scenario]) -> list[int]:
    """Make the changes that are due at the present step of each robot's episode, on the robots that are still running.

    Returns:
        The indices of the robots that changed.
    """
    changed = []
    ended, steps = simulation.ended, simulation.episode_steps.tolist()
    for index, scenario in enumerate(scenarios):
        change = scenario.change_beginning(steps[index])
        if change is not None and not ended[index]:
            simulation.set_change(index, change)
            changed.append(index)
    return changed
