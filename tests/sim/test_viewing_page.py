"""The page of the live view without a browser: what it sends, what its elements do, and how the command begins and ends."""

from __future__ import annotations

import dataclasses
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from adaptive_mbrl.checkpoint import load_checkpoint, save_checkpoint
from adaptive_mbrl.cli import main
from adaptive_mbrl.diagnosis import Diagnosis, DiagnosisConfig, size_of
from adaptive_mbrl.options import ViewOptions
from adaptive_mbrl.viewing.colours import BAD, rgb
from adaptive_mbrl.viewing.serving import served_page
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.scenario import Scenario, ScheduledChange
from sim.viewing.choices import Preset, ranges
from sim.viewing.command import make_actors
from sim.viewing.page import View
from sim.viewing.session import Session
from sim.viewing.source import Shown
from sim.viewing.window import BACKSPACE, DOWN, ENTER, PAGE_DOWN, RIGHT, SPACE, UP, Keyboard, texts
from tests.sim.conftest import MakeCheckpoint

pytest.importorskip("viser")
BY_CLIENT = SimpleNamespace(client=object())
NAMES = ("actuator_gain rotor_1", "body_mass base", "external_force base x")
CHANGES = (Change(body_mass={"base": 1.5}), Change(external_force={"base": (2.0, 0.0, 0.0)}), Change(action_delay=1))
KNOWN = tuple(Scenario("quadrotor", 10, changes=(ScheduledChange(0, change),)) for change in CHANGES)
PRESET = Preset("motor rotor_2 0.5", Change(actuator_gain={"rotor_2": 0.5}), "a test")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def checkpoint(make_checkpoint: MakeCheckpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained quadrotor with a diagnosis that was not fitted either."""
    folder = tmp_path_factory.mktemp("checkpoints")
    made = load_checkpoint(make_checkpoint(folder / "plain", robot="quadrotor"))
    config = DiagnosisConfig(NAMES, hidden=(8,))
    described = dataclasses.replace(made.description, diagnosis=config)
    diagnosis = Diagnosis(config, size_of(made.adapter.prior(1)))
    save_checkpoint(folder / "diagnosed", dataclasses.replace(made, description=described, diagnosis=diagnosis))
    return folder / "diagnosed"


def make_session(checkpoint: Path, robot: str = "quadrotor") -> Session:
    scenario = Scenario(robot, 1000, seed=2)
    shown = Shown(str(checkpoint), load_robot(robot), scenario, (), ())
    return Session(shown.robot, scenario, make_actors(shown, ViewOptions(checkpoint=str(checkpoint))))


@pytest.fixture
def view(checkpoint: Path) -> Iterator[View]:
    session = make_session(checkpoint)
    with served_page("quadrotor", "127.0.0.1", free_port()) as page:
        yield View(page, session, ranges(session.robot, KNOWN), (PRESET,), NAMES)


def bars(view: View) -> str:
    assert view._readings._diagnosis is not None
    return view._readings._diagnosis._element.content


def motors(view: View) -> str:
    return view._readings._motors._element.content


def status(view: View) -> dict[str, str]:
    return dict(re.findall(r'data-name="([^"]+)"[^>]*>([^<]*)<', view._readings._status._element.content))


def test_the_scene_is_the_state_that_the_next_action_is_planned_from(view: View):
    robot = view.session.robot
    before = view.session.simulation.physics.arrays["qpos"][0].copy()
    view.advance()

    base = robot.elements.bodies["base"][0]
    assert np.allclose(view._scene._bodies[int(base)].position, before[:3], atol=1e-6)
    assert np.allclose(view._scene._goal.position, view.session.robot.goals(2, 1)[0])
    assert set(view._scene._lines) == {"candidates", "believed", "real"} - ({"candidates"} if view.session.steps == 1 else set())
    view._controls._lines.value = False  # type: ignore[misc]
    view._count = 0
    view.advance()
    assert view._scene._lines == {}


def test_a_slider_acts_between_two_steps_and_paints_the_part_red(view: View):
    view.advance()
    slider = view._controls._sliders["actuator_gain rotor_1"]
    slider.value = 0.5  # type: ignore[misc]
    view._controls._moved("actuator_gain rotor_1", slider)(BY_CLIENT)  # type: ignore[arg-type]
    assert view.session.change == Change()

    assert view._inbox.work_off() == 1
    view.advance()

    assert view.session.change == Change(actuator_gain={"rotor_1": 0.5})
    assert [tuple(part.color) for part in view._scene._parts.values()].count(rgb(BAD)) == 1
    view._stand_still()
    assert status(view)["dynamics"] == "actuator gain rotor_1 0.5"


def test_a_preset_moves_the_sliders_which_change_nothing_themselves(view: View):
    view._controls._change(PRESET.change)
    view._stand_still()

    sliders = view._controls._sliders
    assert sliders["actuator_gain rotor_2"].value == 0.5
    assert sliders["actuator_gain rotor_1"].value == 1.0
    # whatever the page's own update posts is nobody's wish
    assert view._inbox.work_off() == 0
    assert view.session.change == PRESET.change


def test_a_change_that_the_robot_cannot_have_is_told_and_not_made(view: View):
    view._controls._change(Change(body_size={"base": 2.0}))
    view._stand_still()
    if view.session.change == Change():
        assert "body_size" in status(view)["events"]


def test_the_bars_have_the_truth_beside_the_estimate_and_the_oracle_has_the_truth_only(view: View):
    view._controls._set("body_mass base", 1.5)
    view.advance()
    content = bars(view)
    assert content.index("rotor_1") < content.index("body mass base") < content.index("external force base x [N]")
    assert content.count("2px dashed") == 3
    assert "–" not in content
    assert "–</div>" not in motors(view)

    view._controls._switch("oracle")
    view._count = 0
    view.advance()

    assert status(view)["acting"] == "oracle"
    assert bars(view).count("–</div>") == 3
    assert bars(view).count("2px dashed") == 3
    assert "The oracle has no belief" in bars(view)
    assert motors(view).count("–</div>") == motors(view).count("2px dashed") == 4


def test_a_paused_simulation_makes_one_step_at_a_time(view: View):
    controls = view._controls
    assert controls.may_step()
    controls._toggle_pause()
    assert not controls.may_step()
    controls._one_step()
    assert [controls.may_step() for _ in range(2)] == [True, False]
    controls._toggle_pause()
    assert controls.may_step()
    # one step pauses a running simulation
    controls._one_step()
    assert [controls.may_step() for _ in range(2)] == [True, False]


def test_the_goal_is_held_where_the_sliders_say(view: View):
    controls = view._controls
    controls._own.value = True  # type: ignore[misc]
    for entry, value in zip(controls._entries, (0.5, -0.25, 2.0), strict=True):
        entry.value = value  # type: ignore[misc]
    controls._goal_moved(BY_CLIENT)  # type: ignore[arg-type]
    view._inbox.work_off()
    view.advance()
    assert view.session.goal.tolist() == [0.5, -0.25, 2.0]

    controls._own.value = False  # type: ignore[misc]
    controls._goal_moved(BY_CLIENT)  # type: ignore[arg-type]
    view._inbox.work_off()
    assert view.session.own_goal is None


def test_a_robot_that_runs_stays_in_the_middle(make_checkpoint: MakeCheckpoint, tmp_path: Path):
    session = make_session(make_checkpoint(tmp_path / "cheetah", robot="half_cheetah"), "half_cheetah")
    with served_page("half_cheetah", "127.0.0.1", free_port()) as page:
        view = View(page, session, (), (), ())
        qpos = session.simulation.physics.arrays["qpos"][0].copy()
        qpos[0] = 123.0
        view._scene.show(qpos, Change(), np.zeros(0))
        torso = int(session.robot.elements.bodies["torso"][0])
        assert view._scene._bodies[torso].position[0] == pytest.approx(123.0, abs=0.5)
        assert view._scene._world.position[0] == pytest.approx(-view._scene._bodies[torso].position[0])
        # its checkpoint has no diagnosis
        assert view._readings._diagnosis is None


def test_the_keyboard_does_what_the_page_does(checkpoint: Path):
    session = make_session(checkpoint)
    keyboard = Keyboard(session)
    for key in (RIGHT, DOWN, DOWN, PAGE_DOWN, SPACE, ord("A")):
        keyboard.press(key)

    assert session.change == Change(actuator_gain={"rotor_2": 0.5})
    assert (session.arm, keyboard.paused) == ("frozen", True)
    names, values = texts(session, keyboard, float("nan"))
    assert len(names.split("\n")) == len(values.split("\n"))
    assert "rotor_2" in values
    keyboard.press(BACKSPACE)
    session.step()
    keyboard.press(ENTER)
    assert (session.change, session.steps) == (Change(), 0)


def test_a_gain_beyond_what_is_allowed_is_refused_in_the_window(checkpoint: Path):
    session = make_session(checkpoint)
    keyboard, motor = Keyboard(session), str(next(iter(session.robot.elements.actuators)))
    session.set_parameter(f"actuator_gain {motor}", 10.0)
    keyboard.press(UP)

    assert session.change == Change(actuator_gain={motor: 10.0})
    assert "allowed" in keyboard.refused
    assert keyboard.refused in texts(session, keyboard, 1.0)[1]
    keyboard.press(DOWN)
    assert session.change == Change(actuator_gain={motor: 9.75})
    assert keyboard.refused == ""


def test_the_command_ends_by_itself_after_its_seconds(checkpoint: Path, capsys: pytest.CaptureFixture[str]):
    port = free_port()
    assert main(["view", "--checkpoint", str(checkpoint), "--port", str(port), "--seconds", "0.1", "--threads", "1"]) == 0
    assert capsys.readouterr().out == f"Open http://127.0.0.1:{port} in a browser; Ctrl-C ends this command.\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--checkpoint", "half_cheeta"], r"half_cheeta: no such checkpoint folder .*did you mean 'half_cheetah'\?"),
        (["--window"], r"--window: there is no display here"),
        (["--bridge", "bridge.yaml", "--seed", "3"], r"--seed: allowed without --bridge only"),
        (["--domain", "3"], r"--domain: allowed with --bridge only"),
        (["--port", "70000"], r"--port: 70000 is out of range; allowed: 1 to 65535"),
        (["--seconds", "-1"], r"--seconds: -1.0 is out of range; allowed: at least 0"),
    ],
)
def test_a_mistake_is_one_line(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main(["view", *flags, *([] if "--port" in flags or "--bridge" in flags else ["--port", str(free_port())])]) == 2
    error = capsys.readouterr().err
    assert re.match(f"^error: {message}", error)
    assert error.count("\n") == 1


def test_a_taken_port_and_a_missing_package_are_told_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        # no such checkpoint: it is not looked for yet
        assert main(["view", "--checkpoint", "nobody", "--port", str(port)]) == 2
        assert f"error: 127.0.0.1:{port}: address already in use; port" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "viser", None)
    assert main(["view", "--checkpoint", "nobody", "--port", str(port)]) == 2
    assert capsys.readouterr().err == "error: package 'viser' is not installed; pip install 'adaptive-mbrl[view]'\n"
