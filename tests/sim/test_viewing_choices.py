"""What can be changed by hand: sliders for what a robot's scenarios change, presets, and the robot of a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.errors import ConfigError
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.loading import load_scenario
from sim.scenarios.parameters import parameter_values, varying_parameters
from sim.simulation.batch import BatchSimulation
from sim.viewing.choices import Range, presets, ranges
from sim.viewing.source import Shown, find_shown
from tests.sim.conftest import MakeCheckpoint


@pytest.fixture(scope="module")
def cheetah() -> Shown:
    return find_shown("half_cheetah", None, seed=3)


def test_every_parameter_that_a_split_changes_has_a_slider_that_reaches_its_numbers(cheetah: Shown):
    by_name = {r.name: r for r in ranges(cheetah.robot, cheetah.known)}
    motors = [f"actuator_gain {name}" for name in cheetah.robot.elements.actuators]
    split = [load_scenario(f"half_cheetah/anything:{part}") for part in ("train", "validation", "test", "test_kinds")]
    changes = [scheduled.change for part in split for scenario in part.episodes(20) for scheduled in scenario.changes]

    assert list(by_name)[:6] == motors
    names = varying_parameters(changes)
    assert {"body_mass", "friction", "slope_deg", "damping", "action_delay", "external_force torso x", "gravity"} <= set(names)
    assert set(names) <= set(by_name)
    values = np.array([parameter_values(change, names) for change in changes])
    for name, column in zip(names, values.T, strict=True):
        assert by_name[name].low <= column.min() <= column.max() <= by_name[name].high


@pytest.mark.parametrize("checkpoint", ["arm"])
def test_every_slider_can_be_moved_over_its_whole_range(checkpoint: str):
    shown = find_shown(checkpoint, None, seed=0)
    found = ranges(shown.robot, shown.known)
    simulation = BatchSimulation(shown.robot, 1)

    assert found
    for shown_range in found:
        assert shown_range.low <= shown_range.nominal <= shown_range.high
        assert 5 <= round((shown_range.high - shown_range.low) / shown_range.step) <= 200 or shown_range.name == "action_delay"
    for preset in presets(shown.presets):
        simulation.set_change(0, preset.change)


def test_a_motor_can_always_be_dead_or_reversed():
    robot = load_robot("pendulum")
    assert ranges(robot, ()) == (Range("actuator_gain", -1.0, 1.2, 0.05, 1.0),)


def test_labels_do_without_what_their_group_says():
    labels = [
        Range(name, 0, 1, 0.1, 0).label
        for name in ("actuator_gain bshin", "body_mass base", "slope_deg", "external_force base x")
    ]
    assert labels == ["bshin", "body mass base", "slope [°]", "external force base x [N]"]


def test_presets_are_of_the_parts_that_training_has_not_seen_and_of_the_demonstration(cheetah: Shown):
    found = presets(cheetah.presets)

    assert {p.origin for p in found} == {f"half_cheetah/anything:{part}" for part in ("test", "test_kinds", "validation")} | {
        "half_cheetah/demo"
    }
    assert found[0].origin == "half_cheetah/anything:test"
    labels = [p.label for p in found]
    assert {"all motors -1", "motor bthigh -1, motor fshin -1", "motor fshin -1, body mass 1.3"} <= set(labels)
    assert len(set(labels)) == len(labels)
    # a label says the very numbers
    (heavy,) = [p for p in found if p.label.startswith("motor fthigh -1, body mass")]
    assert heavy.label == f"motor fthigh -1, body mass {heavy.change.body_mass:g}"


def test_without_a_scenario_nothing_happens_by_itself(cheetah: Shown):
    assert cheetah.robot.name == "half_cheetah"
    assert (cheetah.scenario.seed, cheetah.scenario.changes) == (3, ())


def test_a_scenario_happens_by_itself_and_its_own_changes_are_the_presets(cartpole_scenario: Path):
    shown = find_shown("cartpole", str(cartpole_scenario), seed=9)

    assert (shown.scenario.seed, shown.scenario.changes[0].at) == (9, 12)
    assert [p.change for p in presets(shown.presets)] == [Change(actuator_gain=0.3)]
    assert any(source.name == "cartpole/anything:train" for source in shown.known)


def test_a_split_with_a_part_for_training_only_offers_that():
    train = load_scenario("cartpole/anything:train")
    assert {p.origin for p in presets([train])} == {"cartpole/anything:train"}


def test_a_folder_of_a_training_run_stands_for_its_checkpoint(make_checkpoint: MakeCheckpoint, tmp_path: Path):
    make_checkpoint(tmp_path / "run" / "checkpoint")
    assert find_shown(str(tmp_path / "run"), None, 0).checkpoint == str(tmp_path / "run" / "checkpoint")


def test_a_robot_that_is_not_found_is_asked_for(make_checkpoint: MakeCheckpoint, tmp_path: Path):
    folder = make_checkpoint(tmp_path / "mine")
    description = folder / "checkpoint.yaml"
    description.write_text(description.read_text().replace("name: cartpole\n", "name: my_robot\n", 1))
    with pytest.raises(ConfigError, match=r"its robot 'my_robot' is none of the shipped ones, .* name a scenario .* --scenario$"):
        find_shown(str(folder), None, 0)
