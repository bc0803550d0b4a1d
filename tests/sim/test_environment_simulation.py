"""Environments side by side: what they do is what Gymnasium and our own simulation do, and changes act on them as they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium import spaces

from adaptive_mbrl.errors import ConfigError
from sim.episodes.policies import RandomPolicy
from sim.episodes.run import run_scenarios
from sim.robot import load_robot, load_task
from sim.robot.environment import EnvironmentRobot, environment_robot
from sim.scenarios import Change, Scenario, ScheduledChange
from sim.simulation.batch import BatchSimulation
from sim.simulation.environments import EnvironmentSimulation
from sim.simulation.instability import SimulationError


class Cart(gymnasium.Env):
    """A cart that rolls on with the commands' sum; its episode ends at 1, is cut after 30 steps, and breaks at -1."""

    dt = 0.1
    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float64)

    def __init__(self) -> None:
        self.mass, self.friction, self.received = 1.0, 0.0, []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.state, self.steps, self.received = np.array([0.0, 0.01 * self.np_random.standard_normal()]), 0, []
        return self.state.copy(), {}

    def step(self, action: np.ndarray):
        self.received.append(float(action[0]))
        self.steps += 1
        position, speed = self.state
        speed += 0.1 * (action[0] / self.mass - self.friction * speed)
        self.state = np.array([position + 0.1 * speed, speed])
        obs = self.state.copy() if self.state[0] > -1 else np.full(2, np.nan)
        return obs, float(10 * action[0]), bool(self.state[0] > 1), self.steps >= 30, {}


def set_dynamics(env: gymnasium.Env, parameters: dict[str, float]) -> None:
    env.unwrapped.mass, env.unwrapped.friction = parameters["mass"], parameters["friction"]


def cart(**options: Any) -> EnvironmentRobot:
    parameters = {"mass": (0.5, 2.0, 1.0), "friction": (0.0, 1.0, 0.0)}
    return environment_robot(Cart, ["position", "speed"], parameters=parameters, set_dynamics=set_dynamics, **options)


class Hopper(gymnasium.Wrapper):
    """A hopper whose reset writes its masses and friction."""

    def __init__(self) -> None:
        super().__init__(gymnasium.make("Hopper-v5", max_episode_steps=-1))
        self.masses, self.friction = self.unwrapped.model.body_mass.copy(), self.unwrapped.model.geom_friction.copy()

    def reset(self, **options: Any):
        self.unwrapped.model.body_mass[:] = self.masses
        self.unwrapped.model.geom_friction[:] = self.friction
        return super().reset(**options)


def test_a_change_is_in_force_after_a_reset_that_writes_the_model():
    simulation = EnvironmentSimulation(environment_robot(Hopper), 1)
    env = simulation.envs[0]
    model = env.unwrapped.model

    simulation.reset([0], [Change(body_mass=1.5, friction=0.5)])
    np.testing.assert_allclose(model.body_mass, 1.5 * env.masses)
    np.testing.assert_allclose(model.geom_friction[:, 0], 0.5 * env.friction[:, 0])
    simulation.reset([1], [Change()])

    np.testing.assert_array_equal(model.body_mass, env.masses)
    np.testing.assert_array_equal(model.geom_friction, env.friction)


def run(simulation: EnvironmentSimulation, commands: np.ndarray) -> np.ndarray:
    """The observations after each command, which all robots get, (T, B, obs_dim)."""
    return np.stack([simulation.step(np.full((simulation.num_robots, 1), c)).copy() for c in commands])


def test_changes_of_a_mujoco_model_do_what_they_do_in_our_own_simulation():
    # gymnasium's hopper is one of our robots, too
    ours = load_robot("hopper")
    make = lambda: gymnasium.make("Hopper-v5", max_episode_steps=-1, terminate_when_unhealthy=False)  # noqa: E731
    changes = [
        Change(),
        Change(body_mass=1.4, actuator_gain={"thigh_joint": -0.5}),
        Change(slope_deg=5.0, damping=2.0, external_force={"torso": (5.0, 0.0, 0.0)}),
        Change(action_delay=2, friction=0.5, body_size={"foot": 0.8}),
    ]
    batch, envs = BatchSimulation(ours, 4), EnvironmentSimulation(environment_robot(make), 4)
    for simulation in (batch, envs):
        simulation.reset([0, 1, 2, 3], changes)
    rng = np.random.default_rng(0)
    for step in range(16):
        if step == 8:
            # the next change takes the place of each, and the last one is taken back
            for index in range(4):
                for simulation in (batch, envs):
                    simulation.set_change(index, changes[(index + 1) % 4])
        action = rng.uniform(-1, 1, (4, 3))
        batch.step(action)
        envs.step(action)
    assert not batch.ended.any()
    reached = np.stack([env.unwrapped.data.qpos for env in envs.envs])
    np.testing.assert_array_equal(batch.physics.arrays["qpos"], reached)


def test_what_a_task_sets_for_itself_in_the_model_stays_when_a_change_is_taken_back(tmp_path: Path):
    (tmp_path / "reacher.yaml").write_text("environment: dm_control:reacher/easy", encoding="utf-8")
    robot = load_task(tmp_path / "reacher.yaml")
    assert isinstance(robot, EnvironmentRobot)
    simulation = EnvironmentSimulation(robot, 1)
    model = simulation.envs[0].unwrapped.model
    nominal = model.body_mass.copy()

    simulation.reset([0])
    target = model.geom_pos[model.geom("target").id].copy()
    simulation.set_change(0, Change(body_mass=2.0, body_size={"hand": 1.5}))
    np.testing.assert_allclose(model.body_mass, 2 * nominal)
    simulation.set_change(0, Change(gravity=0.5))

    np.testing.assert_array_equal(model.body_mass, nominal)
    np.testing.assert_array_equal(model.geom_pos[model.geom("target").id], target)
    simulation.reset([1])
    assert (model.geom_pos[model.geom("target").id] != target).any()


def test_an_environment_does_what_it_does_alone_and_again():
    env = Cart()
    first, _ = env.reset(seed=5)
    expected = np.stack([env.step(np.array([0.25]))[0] for _ in range(5)])
    simulation = EnvironmentSimulation(cart(), 2)

    for _ in range(2):
        begin = simulation.reset([4, 5])
        obs = run(simulation, np.full(5, 0.25))
        np.testing.assert_array_equal(begin[1], first.astype(np.float32))
        np.testing.assert_array_equal(obs[:, 1], expected.astype(np.float32))
        np.testing.assert_array_equal(simulation.reward, np.float32([2.5, 2.5]))


def test_an_environment_that_draws_before_it_seeds_begins_as_its_seed_says():
    class Late(Cart):
        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
            drawn = self.np_random.standard_normal()
            _, info = super().reset(seed=seed)
            self.state = np.array([0.0, drawn])
            return self.state.copy(), info

    simulation = EnvironmentSimulation(environment_robot(Late), 2)
    first = simulation.reset([3, 3])
    np.testing.assert_array_equal(first[0], first[1])
    assert (simulation.reset([4, 3])[0] != first[0]).any()


def test_commands_are_scaled_and_clipped_and_come_late():
    simulation = EnvironmentSimulation(cart(), 3)
    simulation.reset([0, 0, 0], [Change(action_gain=-0.5), Change(action_gain=3.0), Change(action_delay=2)])

    run(simulation, np.array([0.4, 0.8, -0.2, 0.1]))

    received = [env.unwrapped.received for env in simulation.envs]
    np.testing.assert_allclose(received, [[-0.2, -0.4, 0.1, -0.05], [1, 1, -0.6, 0.3], [0, 0, 0.4, 0.8]], atol=1e-7)


def test_parameters_replace_those_of_the_change_before_and_noise_is_on_observations_only():
    simulation = EnvironmentSimulation(cart(), 1)
    simulation.reset([0], [Change(parameters={"mass": 2.0})])
    env = simulation.envs[0].unwrapped
    assert (env.mass, env.friction) == (2.0, 0.0)
    simulation.set_change(0, Change(parameters={"friction": 0.5}, obs_noise={"speed": 0.3}))
    assert (env.mass, env.friction) == (1.0, 0.5)

    obs = simulation.step(np.zeros((1, 1)))

    np.testing.assert_array_equal(simulation.true_obs[0], env.state.astype(np.float32))
    assert obs[0, 0] == simulation.true_obs[0, 0]
    assert obs[0, 1] != simulation.true_obs[0, 1]


def test_a_change_outlives_a_reset_that_makes_the_environment_anew():
    class Anew(gymnasium.Wrapper):
        """Its reset builds another model, and gives its own parameter the usual value."""

        def reset(self, **options: Any):
            inner = self.env.unwrapped
            inner.model = mujoco.MjModel.from_xml_path(inner.fullpath)
            inner.data = mujoco.MjData(inner.model)
            inner.friction = 1.0
            return self.env.reset(**options)

    def set_friction(env: gymnasium.Env, parameters: dict[str, float]) -> None:
        env.unwrapped.friction = parameters["friction"]

    robot = environment_robot(
        lambda: Anew(gymnasium.make("InvertedPendulum-v5")), parameters={"friction": (0, 9, 1)}, set_dynamics=set_friction
    )
    simulation = EnvironmentSimulation(robot, 1)
    usual = simulation.envs[0].unwrapped.model.body_mass.copy()

    simulation.reset([0], [Change(body_mass=2.0, parameters={"friction": 4.0}, external_force={"pole": (1.0, 0.0, 0.0)})])

    inner = simulation.envs[0].unwrapped
    np.testing.assert_allclose(inner.model.body_mass, 2 * usual)
    assert inner.friction == 4.0
    assert inner.data.xfrc_applied[inner.model.body("pole").id, 0] == 1.0


def test_an_episode_ends_is_cut_or_breaks_and_the_others_go_on():
    scenarios = [Scenario("cart", 40, i, (ScheduledChange(0, Change(action_gain=gain)),)) for i, gain in enumerate([1, 0, -1])]

    class Full(RandomPolicy):
        def act(self, obs: np.ndarray, goal: np.ndarray, sent: np.ndarray | None):
            return np.ones((len(obs), 1), dtype=np.float32), None

    robot = cart()
    recorded = run_scenarios(robot, scenarios, Full(robot.spec, 0, 40), source="random")

    ended, cut, broken = recorded.episodes
    assert ended.ended
    assert ended.obs[-1, 0] > 1 > ended.obs[-2, 0]
    assert (len(cut), cut.ended) == (30, False)
    assert recorded.instabilities[2] is not None
    assert len(broken) == recorded.instabilities[2].step < 30
    assert np.isfinite(broken.obs).all()
    np.testing.assert_array_equal(ended.reward, 10.0)


def test_healthy_ranges_end_an_episode_of_an_environment_that_goes_on():
    from adaptive_mbrl.spec import HealthyRange

    robot = cart(healthy=[HealthyRange("speed", -0.5, 0.5)])
    simulation = EnvironmentSimulation(robot, 1)
    simulation.reset([0])

    run(simulation, np.ones(8))

    assert simulation.lengths[0] in (5, 6)
    assert abs(simulation.obs[0, 1]) > 0.5
    assert len(simulation.envs[0].unwrapped.received) == simulation.lengths[0]


def test_an_unstable_environment_is_an_error_unless_it_may_end():
    simulation = EnvironmentSimulation(cart(), 1)
    simulation.reset([0])
    with pytest.raises(SimulationError, match="unstable at control step 1"):
        run(simulation, -np.ones(20))


def test_warnings_of_mujoco_end_an_episode():
    robot = environment_robot(lambda: gymnasium.make("InvertedPendulum-v5", max_episode_steps=-1))
    simulation = EnvironmentSimulation(robot, 1, on_unstable="end")
    simulation.reset([0])
    simulation.envs[0].unwrapped.data.qvel[0] = 1e12

    simulation.step(np.zeros((1, 1)))

    assert simulation.instabilities[0] is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            Change(body_mass=2.0),
            "key 'body_mass': the robot 'environment' has no MuJoCo model.*allowed: action_gain, action_delay",
        ),
        (Change(parameters={"mas": 1.0}), "unknown parameter 'mas' \\(did you mean 'mass'\\?\\)"),
        (Change(parameters={"mass": 5.0}), "parameter 'mass': 5 is out of range; allowed: 0.5 to 2"),
        (Change(action_gain={"a": 1.5}), "unknown action 'a' of robot 'environment'; known actions: action_0"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(change: Change, said: str):
    with pytest.raises(ConfigError, match=said):
        change.check(cart().elements)


def test_robots_of_our_own_simulation_have_no_parameters_and_no_gain_of_actions():
    for change in (Change(action_gain=0.5), Change(parameters={"m": 1.0})):
        with pytest.raises(ConfigError, match="'cartpole' is no environment"):
            change.check(load_robot("cartpole").elements)
