"""Scenarios are data: what they say happens at the step they say, and mistakes are told in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from adaptive_mbrl.errors import ConfigError
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario, ScheduledChange
from sim.simulation.batch import BatchSimulation
from sim.simulation.course import apply_changes, start

SCENARIO = """
robot: half_cheetah
steps: 400                      # control steps
seed: 0
changes:
  - {at: 300, friction: 0.5, slope_deg: 8, damping: 1.5}
  - {at: 0,   body_mass: 1.2}
  - {at: 200, actuator_gain: {bshin: 0.0}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "broken_leg.yaml"
    path.write_text(SCENARIO)
    return path


def test_the_changes_come_in_time_and_replace_each_other(file: Path) -> None:
    scenario = load_scenario(file)
    assert isinstance(scenario, Scenario)
    assert [c.at for c in scenario.changes] == [0, 200, 300]
    assert scenario.last_change == 300
    assert scenario.change_in_force(199) == Change(body_mass=1.2)
    assert scenario.change_in_force(200) == Change(actuator_gain={"bshin": 0.0})
    assert scenario.change_in_force(399) == Change(friction=0.5, slope_deg=8.0, damping=1.5)
    assert scenario.change_beginning(201) is None


def test_what_is_written_loads_again(file: Path, tmp_path: Path) -> None:
    scenario = load_scenario(file)
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump(json.loads(json.dumps(scenario.to_mapping()))))
    assert load_scenario(again).changes == scenario.changes


def test_episodes_differ_in_their_seed_only(file: Path) -> None:
    scenario = load_scenario(file)
    episodes = scenario.episodes(3, seed=7)
    assert [e.seed for e in episodes] == [7, 8, 9]
    assert all(e.changes == scenario.changes for e in episodes)


def test_running_scenarios_changes_each_robot_at_its_own_step() -> None:
    scenarios = [
        Scenario("cartpole", 10, 1, (ScheduledChange(0, Change(actuator_gain=0.5)), ScheduledChange(4, Change(body_mass=2.0)))),
        Scenario("cartpole", 10, 2, (ScheduledChange(6, Change(actuator_gain=0.0)),)),
        Scenario("cartpole", 10, 3),
    ]
    simulation = BatchSimulation(load_robot("cartpole"), 3)
    obs = start(simulation, scenarios)
    assert obs.shape == (3, 4)
    seen = {}
    for step in range(10):
        changed = apply_changes(simulation, scenarios)
        if changed:
            seen[step] = changed
        assert simulation.changes == tuple(s.change_in_force(step) for s in scenarios)
        simulation.step(np.ones((3, 1)))
    assert seen == {0: [0], 4: [0], 6: [1]}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("robot: half_cheetah", "robot: half_cheeta", "unknown robot 'half_cheeta'.*known robots: ant"),
        ("steps: 400", "step: 400", "unknown key 'step'.*allowed keys: robot, steps, seed, changes"),
        ("steps: 400 ", "steps: 0 ", "'steps': 0 is out of range"),
        ("seed: 0", "seed: 2147483648", "'seed': 2147483648 is out of range; allowed: 0 to 2147483647"),
        ("steps: 400 ", "steps: many ", "'steps': expected a whole number, got 'many'"),
        ("robot: half_cheetah\n", "", "missing key 'robot'"),
        ("at: 300", "at: 400", r"'changes\[0\].at': got 400; allowed: a whole number of steps, 0 to 399"),
        ("at: 300", "at: -1", r"'changes\[0\].at': got -1; allowed"),
        ("at: 300", "at: 1.5", r"'changes\[0\].at': got 1.5; allowed"),
        ("at: 300, ", "", r"'changes\[0\].at': it is missing; allowed"),
        ("at: 300", "at: 200", "two changes at the same step"),
        (
            "friction: 0.5",
            "slipperiness: 0.5",
            r"unknown key 'changes\[0\].slipperiness'; allowed keys: at, actuator_gain, body_mass",
        ),
        ("friction: 0.5", "friction: slippery", r"'changes\[0\].friction'.*got 'slippery'"),
        ("friction: 0.5", "friction: -1", r"'changes\[0\]': friction: -1.0 is out of range; allowed: 0 to 100"),
        ("friction: 0.5", "action_delay: 0.5", r"'changes\[0\].action_delay': expected a whole number, got 0.5"),
        ("friction: 0.5", "external_force: {torso: [1, 2]}", r"'changes\[0\].external_force.torso': expected 3 values, got 2"),
        (
            "friction: 0.5",
            "external_force: {tail: [1, 2, 3]}",
            r"'changes\[0\].external_force': unknown body 'tail'.*known bodies: torso",
        ),
        ("{bshin: 0.0}", "{shin: 0.0}", r"'changes\[2\].actuator_gain': unknown actuator 'shin'.*known actuators: bthigh"),
        ("changes:", "changes: [", "not valid YAML"),
    ],
)
def test_mistakes_name_the_file_the_key_and_what_is_allowed(file: Path, old: str, new: str, message: str) -> None:
    assert old in SCENARIO
    file.write_text(SCENARIO.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message) as error:
        load_scenario(file)
    assert "\n" not in str(error.value)
    if "robot" not in new:
        assert str(error.value).startswith(str(file))


def test_missing_files_and_parts() -> None:
    with pytest.raises(ConfigError, match=r"unknown scenario 'half_cheetah/cadm_cripl'.*did you mean"):
        load_scenario("half_cheetah/cadm_cripl:test")
    with pytest.raises(ConfigError, match=r"nothing\.yaml: no such file"):
        load_scenario("/tmp/nothing.yaml")
    with pytest.raises(
        ConfigError, match=r"has the parts train, validation, test; name one, for example half_cheetah/cadm_cripple:test"
    ):
        load_scenario("half_cheetah/cadm_cripple")
    with pytest.raises(ConfigError, match=r"this split has the parts train, validation, test; got ':tset'"):
        load_scenario("half_cheetah/cadm_cripple:tset")


def test_a_plain_scenario_has_no_parts(file: Path) -> None:
    with pytest.raises(ConfigError, match="has no parts, got ':test'"):
        load_scenario(f"{file}:test")


def test_a_robot_beside_the_scenario(tmp_path: Path) -> None:
    source = load_robot("cartpole").path.read_text()
    (tmp_path / "mine.yaml").write_text(source)
    (tmp_path / "scenario.yaml").write_text("robot: mine.yaml\nsteps: 5\n")
    assert load_robot(load_scenario(tmp_path / "scenario.yaml").robot).name == "mine"
