"""Where a robot is, read out of observations, and its planned futures."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

from sim.episodes.policies import ControllerPolicy
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario
from sim.simulation.batch import BatchSimulation
from sim.simulation.oracle import OraclePredictor
from sim.viewing.futures import Futures
from sim.viewing.meshes import colour_of, floors, mesh_of, visible_geoms
from sim.viewing.motors import MotorReader
from sim.viewing.pace import Pace
from sim.viewing.pose import PointReader, PosedModel
from tests.sim.conftest import MakeCheckpoint
from tests.sim.test_viewing_session import checkpoint, make_session, run  # noqa: F401

ROBOTS = ("half_cheetah", "cartpole", "quadrotor", "arm", "hopper", "ant", "pendulum")


@pytest.mark.parametrize("name", ROBOTS)
def test_the_point_that_observations_tell_is_where_the_robot_goes(name: str):
    robot = load_robot(name)
    simulation, posed = BatchSimulation(robot, 1), PosedModel(robot)
    simulation.reset([3])
    reader, rng = PointReader(robot, posed), np.random.default_rng(0)
    first = simulation.physics.arrays["qpos"][0].copy()
    obs, real = [], []
    for _ in range(8):
        simulation.step(rng.uniform(robot.action_low, robot.action_high)[None])
        obs.append(simulation.true_obs[0])
        posed.place(simulation.physics.arrays["qpos"][0])
        real.append(reader.here())

    points = reader.points(first, np.array(obs)[None])[0]

    assert np.ptp(real, axis=0).max() > 0.01
    # a speed at the end of each step, where a place is not observed, is not the mean speed over it
    tolerance = 0.05 if name in ("hopper", "ant") else 1e-3
    assert np.abs(points[1:] - real).max() < tolerance


@pytest.mark.parametrize(("name", "point"), [("arm", "grip"), ("half_cheetah", "torso"), ("cartpole", "pole_1")])
def test_the_point_is_the_hand_of_an_arm_the_torso_of_a_runner_the_pole_of_a_cart(name: str, point: str):
    robot = load_robot(name)
    posed = PosedModel(robot)
    posed.place(robot.initial.sample(0)[0])
    reader = PointReader(robot, posed)

    kind = "site" if name == "arm" else "body"
    names = [robot.model.site(i).name for i in range(robot.model.nsite)] if kind == "site" else []
    if kind == "site":
        places = {n: posed.data.site_xpos[i] for i, n in enumerate(names)}
        assert any(np.allclose(reader.here(), place) for n, place in places.items() if n != "goal")
    else:
        assert np.allclose(reader.here(), posed.data.xipos[mujoco.mj_name2id(robot.model, mujoco.mjtObj.mjOBJ_BODY, point)])


def test_the_real_future_is_what_the_plan_does_and_the_belief_has_one_for_each_member(checkpoint):  # noqa: F811
    session = make_session(checkpoint, Scenario("cartpole", 1000, seed=5))
    futures = Futures(session)
    run(session, 2)
    session.set_change(Change(actuator_gain=0.5, body_mass={"pole_1": 2.0}))
    futures.remember()
    (moment,) = run(session, 1)
    lines = futures.lines(moment)

    reference, posed = BatchSimulation(session.robot, 1), PosedModel(session.robot)
    reader = PointReader(session.robot, posed)
    twin = make_session(checkpoint, Scenario("cartpole", 1000, seed=5))
    run(twin, 2)
    reference.restore(twin.simulation.state())
    reference.set_change(0, moment.change)
    for step, action in enumerate(moment.plan, start=1):
        reference.step(action[None])
        posed.place(reference.physics.arrays["qpos"][0])
        assert np.allclose(lines.real[0, step], reader.here(), atol=1e-6)
    horizon = len(moment.plan)
    assert lines.believed.shape == (2, horizon + 1, 3)
    assert lines.candidates.shape == (3, horizon + 1, 3)
    assert np.allclose(lines.believed[:, 0], lines.real[:, 0])


def test_the_oracle_has_no_belief_that_could_be_drawn(checkpoint):  # noqa: F811
    session = make_session(checkpoint, Scenario("cartpole", 1000, seed=5))
    session.switch("oracle")
    futures = Futures(session)
    futures.remember()
    lines = futures.lines(run(session, 1)[0])

    assert len(lines.real) == 1
    assert len(lines.believed) == len(lines.candidates) == 0


@pytest.mark.parametrize(
    ("name", "gains"),
    [("cartpole", {"slide": -0.7}), ("quadrotor", {"rotor_1": 0.5, "rotor_3": 1.2}), ("half_cheetah", {"bthigh": -1.0})],
)
def test_a_belief_that_is_true_says_the_gain_of_every_motor(
    name: str, gains: dict[str, float], make_checkpoint: MakeCheckpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    session = make_session(make_checkpoint(tmp_path / name, robot=name), Scenario(name, 1000, seed=5))
    session.set_change(Change(actuator_gain=gains))
    motors = session.robot.spec.action_names
    true_dynamics = OraclePredictor(session.simulation, 2 * len(motors), num_threads=1)
    adaptive = session.actors["adaptive"]
    assert isinstance(adaptive, ControllerPolicy)
    monkeypatch.setattr("sim.viewing.motors.controller_of", lambda *_: (adaptive.controller, true_dynamics))
    reader = MotorReader(session)
    for _ in range(4):
        true_dynamics.sync()
        reader.remember()
        read = reader.read(run(session, 1)[0])

    assert read is not None
    assert read.mean == pytest.approx([gains.get(motor, 1.0) for motor in motors], abs=0.1)
    assert np.array_equal(read.low, read.high)


def test_the_gains_begin_anew_with_another_actor_and_the_oracle_has_none(checkpoint):  # noqa: F811
    session = make_session(checkpoint, Scenario("cartpole", 1000, seed=5))
    reader = MotorReader(session)

    def read():
        reader.remember()
        return reader.read(run(session, 1)[0])

    assert read() is not None
    session.switch("oracle")
    assert read() is None
    session.switch("frozen")
    again = read()
    assert again is not None
    assert np.isfinite(again.mean).all()
    assert (again.low <= again.mean + 1e-12).all()
    assert (again.mean <= again.high + 1e-12).all()


def test_lengths_follow_the_change():
    robot = load_robot("cartpole_balance")
    posed = PosedModel(robot)
    pole = robot.model.nbody - 1
    name = next(n for n, i in robot.elements.bodies.items() if int(i[0]) == pole)
    before = posed.model.geom_size.copy()

    assert not posed.apply(Change())
    assert posed.apply(Change(body_size={name: 1.5}))
    assert np.allclose(posed.model.geom_size[robot.model.geom_bodyid == pole], 1.5 * before[robot.model.geom_bodyid == pole])
    assert posed.apply(Change())
    assert np.array_equal(posed.model.geom_size, before)
    # the nominal robot itself is never written to
    assert np.array_equal(robot.model.geom_size, before)


@pytest.mark.parametrize("name", ROBOTS)
def test_every_visible_part_has_a_mesh_of_its_size(name: str):
    pytest.importorskip("trimesh")
    model = load_robot(name).model

    assert visible_geoms(model)
    for geom in visible_geoms(model):
        mesh = mesh_of(model, geom)
        assert mesh is not None
        low, high = mesh.vertices.min(0), mesh.vertices.max(0)
        # MuJoCo's own box around the geom, in its frame; a polygon does not quite reach around a circle
        centre, half = model.geom_aabb[geom, :3], model.geom_aabb[geom, 3:]
        assert np.allclose((low + high) / 2, centre, atol=0.03 * half.max())
        assert np.allclose((high - low) / 2, half, atol=0.03 * half.max())
        assert mesh.faces.max() < len(mesh.vertices)


def test_floors():
    assert floors(load_robot("half_cheetah").model) == [0.0]


class Clock:
    """A clock that only moves when somebody waits or works."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def starts(work: list[float], dt: float = 0.05) -> tuple[list[float], float]:
    clock = Clock()
    pace, found = Pace(dt, clock, clock.sleep), []
    for seconds in work:
        pace.wait()
        found.append(round(clock.now - 100, 6))
        clock.now += seconds
    return found, pace.factor


def test_a_machine_that_is_fast_enough_keeps_real_time():
    found, factor = starts([0.01, 0.049, 0.0, 0.03])
    assert found == [0.0, 0.05, 0.1, 0.15]
    assert factor == pytest.approx(1.0)


def test_a_machine_that_is_too_slow_makes_every_step_later_and_none_faster():
    found, factor = starts([0.1, 0.01, 0.01, 0.1, 0.01])
    assert found == [0.0, 0.1, 0.15, 0.2, 0.3]
    assert factor == pytest.approx(4 * 0.05 / 0.3)


def test_a_pause_is_no_lag():
    clock = Clock()
    pace = Pace(0.05, clock, clock.sleep)
    pace.wait()
    clock.now += 60
    pace.pause()
    assert np.isnan(pace.factor)
    pace.wait()
    pace.wait()
    assert clock.now == pytest.approx(160.05)
    assert pace.factor == pytest.approx(1.0)


def test_a_colour_of_its_own_counts_more_than_the_material_of_a_geom():
    model = mujoco.MjModel.from_xml_string(
        """<mujoco><asset><material name="red" rgba="1 0 0 0.5"/></asset><worldbody>
        <geom size="1" material="red"/><geom size="1" material="red" rgba="0 1 0 1"/><geom size="1"/></worldbody></mujoco>"""
    )

    assert [colour_of(model, geom) for geom in range(3)] == [((255, 0, 0), 0.5), ((0, 255, 0), 1.0), ((128, 128, 128), 1.0)]
