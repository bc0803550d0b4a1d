"""The simulation behind the live view: it steps as an evaluation does, changes by hand act at once, no memory leaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import ViewOptions
from sim.episodes.policies import ControllerPolicy
from sim.episodes.run import run_scenarios
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.loading import load_scenario
from sim.scenarios.parameters import parameter_values, with_parameter
from sim.scenarios.scenario import Scenario
from sim.simulation.batch import BatchSimulation
from sim.viewing.command import make_actors
from sim.viewing.session import Moment, Session
from sim.viewing.source import Shown
from tests.sim.conftest import MakeCheckpoint


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint: MakeCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoints") / "cartpole")


def make_session(checkpoint: Path, scenario: Scenario) -> Session:
    robot = load_robot(scenario.robot)
    shown = Shown(str(checkpoint), robot, scenario, (), ())
    return Session(robot, scenario, make_actors(shown, ViewOptions(checkpoint=str(checkpoint))))


def run(session: Session, steps: int) -> list[Moment]:
    moments = [session.step() for _ in range(steps)]
    assert None not in moments
    return moments  # type: ignore[return-value]


NOMINAL = Scenario("cartpole", 1000, seed=5)


def test_the_shipped_multitask_model_of_a_robot_acts_too_unless_its_channels_differ(checkpoint: Path):
    assert list(make_session(checkpoint, NOMINAL).actors) == ["adaptive", "frozen", "multitask", "oracle"]


def test_it_steps_as_an_evaluation_does(checkpoint: Path, cartpole_scenario: Path):
    scenario = load_scenario(cartpole_scenario)
    assert isinstance(scenario, Scenario)
    session, other = (make_session(checkpoint, scenario) for _ in range(2))

    moments = run(session, scenario.steps)

    policy = other.actors["adaptive"]
    policy.seed([scenario.seed])
    (episode,) = run_scenarios(session.robot, [scenario], policy, source="policy").episodes
    assert np.array_equal([m.next_obs for m in moments], episode.obs[1:])
    assert np.array_equal([m.plan[0] for m in moments], episode.action)
    assert np.allclose([m.reward for m in moments], episode.reward)
    assert [m.change.actuator_gain for m in moments] == [1.0] * 12 + [0.3] * 18
    assert moments[1].candidates.shape == (3, 5, 1)


def test_a_parameter_that_is_moved_acts_from_the_next_step_on(checkpoint: Path):
    session = make_session(checkpoint, NOMINAL)
    run(session, 3)
    state = session.simulation.state()
    session.set_parameter("actuator_gain slide", -0.7)

    (moment,) = run(session, 1)

    assert moment.change == Change(actuator_gain={"slide": -0.7})
    for gain, same in ((-0.7, True), (1.0, False)):
        reference = BatchSimulation(session.robot, 1)
        reference.restore(state)
        reference.set_change(0, Change(actuator_gain=gain))
        reference.step(moment.plan[:1])
        assert np.array_equal(reference.true_obs[0], moment.next_obs) == same


def test_whoever_begins_to_act_knows_nothing_of_before(checkpoint: Path):
    session = make_session(checkpoint, NOMINAL)
    adaptive = session.actors["adaptive"]
    assert isinstance(adaptive, ControllerPolicy)
    run(session, 6)
    learned = adaptive.controller.belief

    session.switch("oracle")
    assert run(session, 4)[-1].info is None
    session.switch("adaptive")

    assert learned is not None
    assert adaptive.controller.belief is None
    assert adaptive.plan is None
    assert adaptive.carried is None
    # the same numbers as those of an actor that was never used, in the same state of the robot
    fresh = make_session(checkpoint, NOMINAL)
    fresh.simulation.restore(session.simulation.state())
    ours, theirs = run(session, 3), run(fresh, 3)
    assert np.array_equal([m.plan for m in ours], [m.plan for m in theirs])
    assert np.isnan(ours[0].info.adapted_error[0])  # type: ignore[union-attr]


def test_the_frozen_actor_keeps_the_prior(checkpoint: Path):
    session = make_session(checkpoint, NOMINAL)
    session.switch("frozen")

    assert {int(m.info.run_length[0]) for m in run(session, 5) if m.info is not None} == {0}


def test_an_unknown_actor_is_refused(checkpoint: Path):
    session = make_session(checkpoint, NOMINAL)
    with pytest.raises(ConfigError, match=r"^unknown arm 'nobody'; known arms: adaptive, frozen, multitask, oracle$"):
        session.switch("nobody")


def test_a_reset_repeats_the_episode_and_keeps_changes_by_hand(checkpoint: Path):
    session = make_session(checkpoint, NOMINAL)
    session.set_parameter("actuator_gain slide", 0.4)
    first = run(session, 5)
    session.reset()
    second = run(session, 5)
    session.reset(seed=6)

    assert np.array_equal([m.next_obs for m in first], [m.next_obs for m in second])
    assert session.change == Change(actuator_gain={"slide": 0.4})
    assert session.scenario.seed == 6
    assert not np.array_equal(session.simulation.obs[0], first[0].obs)


def test_a_reset_begins_a_scenario_anew(checkpoint: Path, cartpole_scenario: Path):
    scenario = load_scenario(cartpole_scenario)
    assert isinstance(scenario, Scenario)
    session = make_session(checkpoint, scenario)
    run(session, 13)
    assert session.change == Change(actuator_gain=0.3)
    session.reset()
    assert session.change == Change()


def test_an_episode_that_ends_by_itself_stands_still_until_a_reset(make_checkpoint: MakeCheckpoint, tmp_path: Path):
    session = make_session(make_checkpoint(tmp_path / "hopper", robot="hopper"), Scenario("hopper", 1000, seed=0))
    while session.step() is not None:
        assert session.steps < 200
    ended = session.steps

    assert session.ended == "fell"
    assert session.step() is None
    assert session.steps == ended
    session.reset()
    assert session.ended == ""
    assert session.step() is not None


def test_a_goal_of_ones_own_is_held_and_the_episodes_goal_goes_on_without_it(make_checkpoint: MakeCheckpoint, tmp_path: Path):
    session = make_session(make_checkpoint(tmp_path / "quadrotor", robot="quadrotor"), Scenario("quadrotor", 1000, seed=0))
    own = np.array([1.0, 0.5, 2.0], dtype=np.float32)
    path = session.robot.goals(0, 10)
    assert np.array_equal([m.goal for m in run(session, 2)], path[:2])

    session.own_goal = own
    held = run(session, 2)
    session.own_goal = None

    assert np.array_equal([m.goal for m in held], [own, own])
    assert np.array_equal(run(session, 1)[0].goal, path[4])


ELEMENTS = load_robot("half_cheetah").elements


@pytest.mark.parametrize(
    ("before", "name", "value", "after"),
    [
        (Change(), "actuator_gain bshin", -1.0, Change(actuator_gain={"bshin": -1.0})),
        (Change(actuator_gain={"bshin": -1.0}), "actuator_gain bshin", 1.0, Change()),
        (
            Change(actuator_gain={"bshin": 0.5}, slope_deg=3.0),
            "actuator_gain ffoot",
            0.0,
            Change(actuator_gain={"bshin": 0.5, "ffoot": 0.0}, slope_deg=3.0),
        ),
        (Change(body_mass={"torso": 2.0}), "body_mass", 1.5, Change(body_mass=1.5)),
        (Change(), "external_force torso z", -4.0, Change(external_force={"torso": (0.0, 0.0, -4.0)})),
        (
            Change(external_force={"torso": (1.0, 0.0, -4.0)}),
            "external_force torso x",
            0.0,
            Change(external_force={"torso": (0.0, 0.0, -4.0)}),
        ),
        (Change(external_force={"torso": (1.0, 0.0, 0.0)}), "external_force torso x", 0.0, Change()),
        (Change(), "action_delay", 2.0, Change(action_delay=2)),
    ],
)
def test_one_parameter_changes_and_the_others_stay(before: Change, name: str, value: float, after: Change):
    assert with_parameter(before, name, value, ELEMENTS) == after


def test_a_part_of_what_is_scaled_as_a_whole_leaves_the_other_parts_as_they_were():
    names = [f"actuator_gain {motor}" for motor in ELEMENTS.actuators]

    changed = with_parameter(Change(actuator_gain=-1.0), names[2], 0.5, ELEMENTS)

    assert parameter_values(changed, names).tolist() == [-1.0, -1.0, 0.5, -1.0, -1.0, -1.0]


def test_noise_of_the_planner_begins_anew_at_a_switch(checkpoint: Path):
    session = make_session(checkpoint, NOMINAL)
    adaptive = session.actors["adaptive"]
    assert isinstance(adaptive, ControllerPolicy)
    begun = adaptive.controller.settings.planner.generators[0].get_state()
    run(session, 2)
    session.switch("adaptive")
    assert torch.equal(adaptive.controller.settings.planner.generators[0].get_state(), begun)
