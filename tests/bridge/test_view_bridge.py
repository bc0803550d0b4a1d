"""What the page of a bridge says, without a browser: never more than was heard, and never anything old as if it were new."""

from __future__ import annotations

import dataclasses
import math
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptive_mbrl import cli
from adaptive_mbrl.errors import BridgeError
from adaptive_mbrl.viewing.serving import served_page
from robot_bridge.middleware.messages import (
    DiagnosticArray,
    DiagnosticStatus,
    Float64MultiArray,
    Header,
    JointState,
    KeyValue,
    Log,
    Message,
    Response,
    String,
    Time,
    TriggerRequest,
)
from robot_bridge.node.diagnostics import ERROR, OK, WARN
from robot_bridge.node.telemetry import BELIEF, labelled
from robot_bridge.streams.readings import Readings
from robot_bridge.streams.watched import Watched
from robot_bridge.viewing.banner import banner_html
from robot_bridge.viewing.calls import SERVICES, Calls
from robot_bridge.viewing.heard import Heard, Snapshot
from robot_bridge.viewing.limit_bars import Limits, belief_bars
from robot_bridge.viewing.page import BridgePage
from robot_bridge.viewing.rows import age_rows, belief_rows, diagnostics_rows, log_rows
from robot_bridge.viewing.state import Shown, shown_state
from tests.bridge.watched_robot import write_bridge

ROOT = Path(__file__).resolve().parents[2]
WHERE = "in domain 3 on interface 'lo'"


class Air:
    """A transport within this process, with a clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.receivers: dict[str, Callable[[Any, float], None]] = {}

    def subscribe(
        self,
        topic: str,
        message_type: type[Message],
        receive: Callable[[Any, float], None],
        *,
        reliable: bool = False,
        **options: Any,
    ):
        # a reliable one could make the controller wait for this listener
        assert not reliable
        self.receivers[topic] = receive

    def say(self, topic: str, message: Message) -> None:
        self.receivers[topic](message, self.now)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, make_checkpoint: Callable[..., Path]) -> Watched:
    folder = tmp_path_factory.mktemp("viewed")
    return Watched.load(write_bridge(folder, make_checkpoint(folder / "checkpoint")))


@pytest.fixture
def air() -> Air:
    return Air()


@pytest.fixture
def heard(watched: Watched, air: Air) -> Heard:
    return Heard(watched, air, clock=lambda: air.now)


def joints(air: Air, position: float = 0.5) -> JointState:
    return JointState(Header(Time.of(1.7e9 + air.now)), ["slider", "hinge_1"], [position, 0.1], [0.0, 0.0])


def diagnosis(message: str, level: int = ERROR, **values: str) -> DiagnosticArray:
    pairs = [KeyValue(key.replace("_", " "), value) for key, value in values.items()]
    others = [
        DiagnosticStatus(ERROR, "another_node: safety", "broken"),
        DiagnosticStatus(WARN, "adaptive_mpc: output", "2 others"),
    ]
    return DiagnosticArray(status=[DiagnosticStatus(level, "adaptive_mpc: safety", message, values=pairs), *others])


def test_before_anything_is_heard_the_page_says_where_it_listens(watched: Watched, heard: Heard):
    snapshot = heard.snapshot()
    shown = shown_state(watched, snapshot, WHERE)

    assert (shown.title, shown.level) == ("nothing heard yet", "bad")
    assert "/adaptive_mpc/state in domain 3 on interface 'lo'" in shown.reason
    assert age_rows(watched, snapshot)[0].text.startswith("never received: cart_position, pole_angle")
    assert [row.text for row in (*diagnostics_rows(watched, snapshot), *log_rows(snapshot))] == ["nothing heard yet"] * 2
    assert belief_rows(watched, snapshot, Readings(watched))[0].text == "nothing heard yet"
    bars = [*Limits(watched).command_bars(snapshot), *belief_bars(watched, snapshot, Readings(watched))]
    assert all(math.isnan(bar.value) for bar in bars)


def test_the_state_comes_with_its_reason(watched: Watched, heard: Heard, air: Air):
    air.say("/adaptive_mpc/state", String("hold"))
    air.say("/diagnostics", diagnosis("hold; 'cart_position' is 50; allowed: -2 to 2"))
    assert shown_state(watched, heard.snapshot(), WHERE) == Shown("hold", "'cart_position' is 50; allowed: -2 to 2", "bad")

    air.say("/diagnostics", diagnosis("hold", newest_hold="no plan"))
    assert shown_state(watched, heard.snapshot(), WHERE).reason == "held because of: no plan"

    # the diagnosis comes once a second, so it may still be about the state before
    air.say("/adaptive_mpc/state", String("running"))
    assert shown_state(watched, heard.snapshot(), WHERE) == Shown("running", "", "good")


def test_the_banner_says_what_is_done_about_faults_and_how_a_stop_goes(watched: Watched, heard: Heard, air: Air):
    def shown(state: str, reaction: str) -> Shown:
        air.say("/adaptive_mpc/state", String(state))
        air.say("/adaptive_mpc/reaction", String(reaction))
        return shown_state(watched, heard.snapshot(), WHERE)

    assert shown("running", "none") == Shown("running", "", "good")
    assert shown("running", "slow") == Shown("running", "reaction: slow", "warning")
    assert shown("hold", "hold under_way") == Shown("hold", "reaction: hold, the robot is being stopped", "bad")
    assert shown("hold", "hold succeeded").reason == "reaction: hold, the robot is at rest"
    air.say("/diagnostics", diagnosis("hold; 'x' is 50"))
    failed = shown("hold", "zero failed")
    assert failed.title == "hold: cut the power"
    assert failed.reason == "reaction: zero, THE ROBOT DOES NOT COME TO REST: cut the power; 'x' is 50"

    # what was said of a stop long ago is not said of now
    air.now += 2.0
    air.say("/adaptive_mpc/state", String("running"))
    assert shown_state(watched, heard.snapshot(), WHERE).title == "running"


def test_the_banner_asks_for_a_decision(watched: Watched, heard: Heard, air: Air):
    air.say("/adaptive_mpc/state", String("running"))
    air.say("/adaptive_mpc/reaction", String("warn"))
    air.say("/diagnostics", diagnosis("running; the operator is gone", WARN, waiting_for_a_decision="operator_gone"))

    shown = shown_state(watched, heard.snapshot(), WHERE)

    assert shown.level == "warning"
    decide = "waiting for a decision about operator_gone: 'Override' goes on in spite of it"
    assert shown.reason == f"the operator is gone; reaction: warn; {decide}"


def test_an_old_state_is_never_shown_as_the_present_one(watched: Watched, heard: Heard, air: Air):
    air.say("/adaptive_mpc/state", String("running"))
    air.now += 0.9
    assert shown_state(watched, heard.snapshot(), WHERE).title == "running"

    air.now += 2.5
    shown = shown_state(watched, heard.snapshot(), WHERE)
    assert (shown.title, shown.level) == ("nothing heard for 3.4 s", "bad")
    assert shown.reason == "Its last state was 'running'. What the robot does now is not known."

    air.now += 600
    assert shown_state(watched, heard.snapshot(), WHERE).title == "nothing heard for 10 min"
    air.say("/adaptive_mpc/state", String("estop"))
    assert shown_state(watched, heard.snapshot(), WHERE) == Shown("estop", "", "bad")


def test_ages_are_those_that_the_bridge_finds(watched: Watched, heard: Heard, air: Air):
    air.say("/joint_states", joints(air))
    (row,) = age_rows(watched, heard.snapshot())
    assert (row.name, row.level) == ("joints /joint_states", "good")

    # a message that was long on its way is as old as its stamp says, less what clocks may drift apart
    air.now += 0.01
    air.say("/joint_states", joints(air))
    message = joints(air)
    message.header.stamp = Time.of(1.7e9 + air.now + 0.1)
    air.now += 2.8
    air.say("/joint_states", message)
    (row,) = age_rows(watched, heard.snapshot())
    assert (row.text, row.level) == ("2.697 s, allowed: 5 s (cart_position)", "warning")
    air.now += 20.0
    (row,) = age_rows(watched, heard.snapshot())
    assert (row.text, row.level) == ("23 s, allowed: 5 s (cart_position)", "bad")


@pytest.mark.parametrize(("value", "level"), [(0.0, "good"), (0.95, "warning"), (-1.0, "warning"), (1.5, "bad")])
def test_a_command_near_its_limit_is_a_warning(watched: Watched, heard: Heard, air: Air, value: float, level: str):
    air.say("/commands", Float64MultiArray(data=[value]))
    (bar,) = Limits(watched).command_bars(heard.snapshot())
    assert (bar.name, bar.value, bar.low, bar.high, bar.level) == ("slide", value, -1.0, 1.0, level)

    air.now += 5.0
    (bar,) = Limits(watched).command_bars(heard.snapshot())
    assert math.isnan(bar.value)


def test_observations_are_shown_within_the_limits_of_the_bridge_file(air: Air):
    watched = Watched.load(ROOT / "configs/bridge/cartpole.yaml")
    tighter = dataclasses.replace(watched.config, safety=dataclasses.replace(watched.config.safety, margin=0.1))
    watched = dataclasses.replace(watched, config=tighter)
    heard = Heard(watched, air, clock=lambda: air.now)
    air.say("/joint_states", joints(air, position=1.7))

    (bar,) = Limits(watched).observation_bars(heard.snapshot())
    assert (bar.name, bar.value, bar.unit, bar.level) == ("cart_position", 1.7, "m", "warning")
    # the margin is kept free at either end
    assert (bar.low, bar.high) == pytest.approx((-1.76, 1.76))

    air.now += 1.0
    (bar,) = Limits(watched).observation_bars(heard.snapshot())
    assert math.isnan(bar.value)


def test_the_belief_is_a_bar_for_each_motor_and_its_age_counts(watched: Watched, heard: Heard, air: Air):
    readings = Readings(watched)
    air.say("/adaptive_mpc/diagnosis", Float64MultiArray(data=[0.5, 3.0, 0.1, 0.25]))
    air.say("/adaptive_mpc/belief", labelled((",".join(BELIEF),), np.array([0.8, 0.2, 0.0, 12, 7.5, 0.004, 0.016])))
    motor, friction = belief_bars(watched, heard.snapshot(), readings)

    assert (motor.name, motor.value, motor.low, motor.high) == ("slide", 0.5, -1.0, 2.0)
    assert motor.interval == pytest.approx((0.3, 0.7))
    assert (friction.name, friction.value, friction.low, friction.high) == ("friction", 3.0, 0.0, 3.5)
    says = {row.name: row.text for row in belief_rows(watched, heard.snapshot(), readings)}
    assert says["from"] == "12 steps"
    assert says["model error"] == "0.2, of the prior 0.8 [target stds]"
    assert says["times"] == "4 ms to adapt, 16 ms to plan"
    assert "motors" not in says

    turned = np.array([0.8, 0.2, 0.0, 12, 7.5, 0.004, 0.016, 0.0, 0.0, 2.0])
    air.say("/adaptive_mpc/belief", labelled((",".join(BELIEF),), turned))
    says = {row.name: row.text for row in belief_rows(watched, heard.snapshot(), readings)}
    assert says["motors"] == "2 taken to be wired backwards, see the diagnostics"

    air.now += 5.0
    assert all(math.isnan(bar.value) for bar in belief_bars(watched, heard.snapshot(), readings))
    assert [row.text for row in belief_rows(watched, heard.snapshot(), readings)] == ["nothing heard for 5.0 s"]


def test_diagnostics_are_the_nodes_own_and_of_now(watched: Watched, heard: Heard, air: Air):
    air.say("/diagnostics", diagnosis("running", OK))
    assert [(row.name, row.text, row.level) for row in diagnostics_rows(watched, heard.snapshot())] == [
        ("safety", "running", "good"),
        ("output", "2 others", "warning"),
    ]
    air.now += 4.0
    assert [(row.text, row.level) for row in diagnostics_rows(watched, heard.snapshot())] == [("nothing heard for 4.0 s", "bad")]


def test_the_log_is_the_nodes_own_newest_first(heard: Heard, air: Air):
    for name, level, text in (
        ("adaptive_mpc", 20, "activated"),
        ("driver", 40, "hot"),
        ("adaptive_mpc", 40, "estop"),
        ("adaptive_mpc", 10, "?"),
    ):
        air.say("/rosout", Log(level=level, name=name, msg=text))
        air.now += 2.0
    rows = log_rows(heard.snapshot())
    assert [(row.name, row.text, row.level) for row in rows] == [
        ("4.0 s ago", "estop", "bad"),
        ("8.0 s ago", "activated", "normal"),
    ]


def test_the_banner_covers_itself_up_without_news_and_cannot_be_injected():
    first, second = (banner_html(Shown("<b>", "<i>", "good"), drawn) for drawn in (0, 1))
    assert "<b>" not in first
    assert "<i>" not in first
    assert "animation:cover0 0.01s linear 3s forwards" in first
    # the same state again is news, which begins the count anew
    assert "animation:cover1 0.01s linear 3s forwards" in second


class Services:
    """A transport whose services answer as the test wants."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[], Response]] = {}
        self.patience: dict[str, float] = {}

    def client(self, name: str, request_type: type[TriggerRequest]) -> Callable[..., Response]:
        def call(request: TriggerRequest, timeout: float, answer_seconds: float) -> Response:
            self.patience[name] = answer_seconds
            return self.answers[name]()

        return call


def test_answers_of_services_are_shown_and_silence_is_red(watched: Watched):
    services, now = Services(), [10.0]
    calls = Calls(watched, services, clock=lambda: now[0])

    def silent() -> Response:
        now[0] += 2.0
        raise BridgeError("service '/adaptive_mpc/estop': no answer within 2 s")

    services.answers["/adaptive_mpc/activate"] = lambda: Response(
        False, "cannot activate in state 'estop'; call clear_estop first"
    )
    services.answers["/adaptive_mpc/estop"] = silent
    assert calls.call("activate").level == "warning"
    now[0] += 1.0
    assert calls.call("estop").level == "bad"
    now[0] += 1.0

    stop, activate = calls.rows()
    expected = (
        "NOT CONFIRMED (3.0 s ago): service '/adaptive_mpc/estop': no answer within 2 s; use the robot's own emergency stop"
    )
    assert (stop.name, stop.text, stop.level) == ("estop", expected, "bad")
    assert activate.text.startswith("refused: cannot activate in state 'estop'; call clear_estop first (4.0 s ago")

    services.answers["/adaptive_mpc/estop"] = lambda: Response(True, "estop")
    assert calls.call("estop").level == "good"
    assert calls.rows()[0].text == "estop (0.0 s ago, answered in 0 ms)"
    # loading a checkpoint takes its time, stopping does not
    assert services.patience["/adaptive_mpc/activate"] > 10 * services.patience["/adaptive_mpc/estop"]


def test_an_emergency_stop_does_not_wait_for_another_service(watched: Watched):
    services, loaded, asked = Services(), threading.Event(), threading.Event()
    calls = Calls(watched, services)

    def load() -> Response:
        asked.set()
        assert loaded.wait(60)
        return Response(True, "ramp")

    services.answers = {"/adaptive_mpc/activate": load, "/adaptive_mpc/estop": lambda: Response(True, "estop")}
    activating = threading.Thread(target=calls.call, args=("activate",))
    activating.start()
    assert asked.wait(60)

    assert calls.call("estop").level == "good"
    stop, activate = calls.rows()
    assert (stop.name, stop.level) == ("estop", "good")
    assert "no answer yet" in activate.text
    loaded.set()
    activating.join()


def test_snapshots_do_not_change(heard: Heard, air: Air):
    air.say("/adaptive_mpc/state", String("running"))
    snapshot = heard.snapshot()
    air.say("/adaptive_mpc/state", String("estop"))
    assert isinstance(snapshot, Snapshot)
    assert snapshot.messages["/adaptive_mpc/state"][0] == String("running")


def test_mistakes_are_one_line(watched: Watched, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("viser")
    bridge = str(ROOT / "configs/bridge/cartpole.yaml")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for arguments, expected in (
            (["--bridge", bridge, "--port", port], f"127.0.0.1:{port}: address already in use"),
            (["--bridge", str(tmp_path / "none.yaml")], "none.yaml"),
            (["--bridge", bridge, "--checkpoint", "cartpole"], "--checkpoint: allowed without --bridge only"),
            (["--domain", "3"], "--domain: allowed with --bridge only"),
        ):
            assert cli.main(["view", *arguments]) == 2
            said = capsys.readouterr()
            assert expected in said.err
            assert said.err.count("\n") == 1
            assert said.out == ""


def test_the_page_is_made_and_drawn_without_a_browser(watched: Watched, air: Air, heard: Heard):
    """Everything that viser itself would refuse is noticed here; what a browser makes of it is tested with one."""
    pytest.importorskip("viser")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    services = Services()
    services.answers = {f"/adaptive_mpc/{name}": lambda: Response(True, "done") for name in SERVICES}
    with served_page("cartpole", "127.0.0.1", port) as page:
        shown = BridgePage(page, watched, Calls(watched, services), WHERE)
        shown.draw(heard.snapshot())
        air.say("/adaptive_mpc/state", String("running"))
        air.say("/commands", Float64MultiArray(data=[0.25]))
        air.say("/adaptive_mpc/plan", labelled(("step", "slide"), np.linspace(-1, 1, 5)[:, None]))
        air.say("/adaptive_mpc/belief", labelled((",".join(BELIEF),), np.array([0.8, 0.2, 0.0, 12, 7.5, 0.0, 0.0])))
        air.now += 0.2
        shown.draw(heard.snapshot())

        assert "running" in shown._banner._element.content
        np.testing.assert_allclose(shown._plan.columns(), [0.04 * np.arange(5), np.linspace(-1, 1, 5)])
        np.testing.assert_allclose(shown._sent.columns(), [[0.2], [0.25]], atol=1e-9)
        np.testing.assert_allclose(shown._errors.columns(), [[0.2], [0.2], [0.8]], atol=1e-9)
        shown._click("estop", None)
        assert "done" in shown._answers._element.content

        # a plan that nobody follows any more is not drawn
        air.now += 5.0
        shown.draw(heard.snapshot())
        assert shown._plan.columns()[0].size == 0
        assert "nothing heard for 5.2 s" in shown._banner._element.content
