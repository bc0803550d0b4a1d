"""Changes under which adapting must matter, and episodes in which they happen."""

from __future__ import annotations

from adaptive_mbrl.data.episode import Episode
from sim.episodes.policies import Policy
from sim.episodes.run import run_scenarios
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange

RECORDED: dict[str, tuple[Change, ...]] = {
    "arm": (
        Change(body_mass={"hand": 2.5}),
        Change(external_force={"hand": (8.0, 0.0, 0.0)}),
        Change(external_force={"hand": (0.0, 8.0, 0.0)}),
        Change(external_force={"hand": (0.0, 0.0, -10.0)}),
    ),
    "cartpole": (Change(actuator_gain=-1.2), Change(actuator_gain=0.6)),
    "half_cheetah": (
        Change(actuator_gain={"bthigh": -1.0}),
        Change(actuator_gain={"fshin": -1.0}),
        Change(actuator_gain={"bthigh": 0.0, "fthigh": -1.0}, body_mass=1.5),
        Change(body_mass=1.5, damping=1.5, slope_deg=8.0),
    ),
    "quadrotor": (
        Change(body_mass={"base": 1.35}),
        Change(external_force={"base": (2.0, 2.0, 0.0)}),
        Change(actuator_gain={"rotor_1": 0.6}),
        Change(actuator_gain={"rotor_3": 0.6}),
    ),
}
"""Of each robot, changes at the ends of the ranges that its checkpoint was trained on; canaries are recorded after them."""
CONTROLLED: dict[str, tuple[Change, ...]] = {
    "arm": tuple(Change(external_force={"hand": (x, y, -10.0)}) for x in (8.0, -8.0) for y in (8.0, -8.0)),
    "cartpole": RECORDED["cartpole"],
    "half_cheetah": RECORDED["half_cheetah"],
    "quadrotor": RECORDED["quadrotor"],
}
"""Of each robot, changes that cost much return unless the controller adapts."""


def run_changed(
    robot_name: str, changes: tuple[Change, ...], policy: Policy, *, at: int, steps: int, repeats: int = 1
) -> tuple[Episode, ...]:
    """One episode for each change and repeat, all side by side.

    Args:
        robot_name: name of a shipped robot.
        changes: what happens to the robots.
        policy: who controls them.
        at: the control step of the change; before it the robots are nominal.
        steps: number of control steps.
        repeats: how often each change is taken, with another initial state each time.
    """
    scenarios = [
        Scenario(robot_name, steps, seed, (ScheduledChange(at, change),)) for seed in range(repeats) for change in changes
    ]
    return run_scenarios(load_robot(robot_name), scenarios, policy, source="policy").episodes
