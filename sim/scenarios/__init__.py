"""Scenarios: when a robot changes, and how. Single scenarios, and splits with their parts."""

from sim.scenarios.change import Change
from sim.scenarios.distribution import ScenarioDistribution
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario, ScheduledChange

__all__ = ["Change", "Scenario", "ScenarioDistribution", "ScheduledChange", "load_scenario"]
