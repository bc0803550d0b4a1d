"""The lifecycle node in a process of its own, asked over real services, with a simulated robot in another process."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from robot_bridge.bags.reader import Bag
from robot_bridge.middleware.messages import Float64MultiArray, JointState
from tests.ros.robot import NO_ROS, PATIENCE, Files, errors, eventually, simulated_robot, started

pytest.importorskip("rclpy", reason=NO_ROS)
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import ListParameters

from tests.ros.controller import MAIN, controller, parameters

pytestmark = pytest.mark.ros
CLOCK = str(Path(__file__).with_name("slow_simulation.py"))


def test_two_lives_and_a_shutdown(files: Files):
    with simulated_robot(files), controller(*parameters(bridge=files.bridge)) as node:
        for _ in range(2):
            assert [node.state, node.change("configure"), node.state] == ["unconfigured", True, "inactive"]
            assert node.change("activate")
            node.moves()
            assert [node.state, node.change("deactivate"), node.state] == ["active", True, "inactive"]
            # at rest, and silent from then on
            sent = len(node.commands)
            for _ in range(10):
                node.spin()
            assert len(node.commands) - sent <= 1
            assert node.commands[-1] == [0.0]
            assert [node.change("cleanup"), node.state] == [True, "unconfigured"]

        assert node.change("configure")
        assert node.change("activate")
        node.moves()
        assert [node.change("shutdown of active"), node.state] == [True, "finalized"]
        assert eventually(lambda: node.commands[-1] == [0.0], node.spin)
        code, mistakes = node.end(signal.SIGINT)

    assert code == 0
    assert "ERROR" not in mistakes


def test_a_typo_in_the_bridge_file_is_one_line_and_can_be_mended(files: Files):
    wrong = files.bridge.with_name("wrong.yaml")
    wrong.write_text(files.bridge.read_text().replace("rate_limits: {slide", "rate_limits: {slid"))
    with controller(*parameters(bridge=wrong)) as node:
        assert [node.change("configure"), node.state] == [False, "unconfigured"]
        assert node.set("bridge", str(files.bridge)) == (True, "")
        assert [node.change("configure"), node.state] == [True, "inactive"]
        assert [node.change("shutdown of inactive"), node.state] == [True, "finalized"]
        code, mistakes = node.end(signal.SIGTERM)

    told = errors(mistakes)
    assert code == 0
    assert len(told) == 1
    assert told[0].endswith(
        f"{wrong}: key 'safety.rate_limits': unknown channel 'slid' (did you mean 'slide'?); known channels: slide"
    )
    assert "Traceback" not in mistakes


def test_parameters_say_what_they_are_and_refuse_the_rest():
    with controller() as node:
        named = node.ask(ListParameters, "list_parameters", ListParameters.Request()).result.names
        own = sorted(set(named) - {"use_sim_time", "start_type_description_service"})
        described = {d.name: d for d in node.describe(*own)}

        expected = [
            "bridge",
            "cpus",
            "deadline",
            "device",
            "dry_run",
            "memory_limit",
            "preflight_seconds",
            "realtime",
            "record",
            "standby",
        ]
        assert own == expected
        assert all(d.description for d in described.values())
        assert described["device"].additional_constraints == "one of auto, cpu, cuda"
        ranges = {
            name: [(r.from_value, r.to_value) for r in d.floating_point_range]
            for name, d in described.items()
            if d.floating_point_range
        }
        assert ranges == {"deadline": [(0.1, 0.95)], "preflight_seconds": [(0.0, 60.0)], "memory_limit": [(0.0, 1e9)]}
        assert node.set("deadline", 0.5) == (True, "")
        for name, value, reason in (
            ("deadline", 0.99, "out of range"),
            ("preflight_seconds", -1.0, "out of range"),
            ("dry_run", "yes", "expected 'Type.BOOL' got 'Type.STRING'"),
            ("device", "gpu", "key 'device': got 'gpu' (did you mean 'cpu'?); allowed: auto, cpu, cuda"),
        ):
            allowed, why = node.set(name, value)
            assert not allowed
            assert reason in why
        assert not node.change("configure")
        assert [node.change("shutdown of unconfigured"), node.state] == [True, "finalized"]
        _, mistakes = node.end(signal.SIGINT)

    assert "parameter 'bridge': empty; allowed: the path of a bridge YAML" in mistakes


@pytest.mark.parametrize(
    ("parameter", "told"),
    [("deadline:=2.0", "out of range"), ("dry_run:=maybe", "expecting type 'BOOL'"), ("device:=gpu", "key 'device': got 'gpu'")],
)
def test_a_wrong_parameter_at_the_start_is_one_line(parameter: str, told: str):
    with started("-c", MAIN, "--ros-args", "-p", parameter) as process:
        _, mistakes = process.communicate(timeout=PATIENCE)

    assert process.returncode == 2
    assert mistakes.count("\n") == 1
    assert mistakes.startswith("error: ")
    assert told in mistakes


def test_an_emergency_stop_outlives_the_cleanup(files: Files):
    with simulated_robot(files), controller(*parameters(bridge=files.bridge)) as node:
        # before there is anything to stop, too
        assert node.trigger("estop") == (True, "estop")
        assert node.change("configure")
        assert [node.change("activate"), node.state] == [False, "inactive"]
        assert node.trigger("clear_estop") == (True, "inactive")
        assert node.change("activate")
        node.moves()

        assert node.trigger("estop") == (True, "estop")
        # it has deactivated the node, so that whoever manages it does not believe that it controls
        assert node.state == "inactive"
        assert eventually(lambda: node.commands[-1] == [0.0], node.spin)
        assert [node.change(c) for c in ("deactivate", "cleanup", "configure", "activate")] == [False, True, True, False]
        assert node.trigger("clear_estop") == (True, "inactive")
        assert node.trigger("clear_estop") == (False, "there is no emergency stop, state 'inactive'")
        assert node.change("activate")
        node.moves()
        code, mistakes = node.end(signal.SIGINT)

    assert code == 0
    assert mistakes.count("cannot activate in state 'estop'; call clear_estop first") == 2


def test_after_an_emergency_stop_both_states_agree_and_control_can_go_on(files: Files):
    with simulated_robot(files), controller(*parameters(bridge=files.bridge)) as node:
        assert [node.change(c) for c in ("configure", "activate")] == [True, True]
        for _ in range(2):
            node.moves()
            assert [node.trigger("estop"), node.state] == [(True, "estop"), "inactive"]
            eventually(lambda: node.states[-1] == "estop", node.spin)
            # a second one changes nothing
            assert [node.trigger("estop"), node.state] == [(True, "estop"), "inactive"]
            assert [node.trigger("clear_estop"), node.state] == [(True, "inactive"), "inactive"]
            eventually(lambda: node.states[-1] == "inactive", node.spin)
            assert [node.change("activate"), node.state] == [True, "active"]
        node.moves()
        code, mistakes = node.end(signal.SIGINT)

    assert code == 0
    assert "no transition" not in mistakes
    assert "Destroyable" not in mistakes


def test_a_person_may_go_on_without_the_operator(files: Files):
    """What is done about a fault can be heard, and a fault that waits for a decision can be overridden."""
    needed = "operator: {topic: /operator, max_age: 0.1}\nsafety:\n  reactions: {operator_gone: {action: hold, after: 60.0}}\n"
    files.bridge.write_text(files.bridge.read_text().replace("safety:\n", needed))
    with simulated_robot(files), controller(*parameters(bridge=files.bridge)) as node:
        assert node.trigger("override") == (False, "the node is not configured")
        assert [node.change(c) for c in ("configure", "activate")] == [True, True]
        eventually(lambda: "warn" in node.reactions, node.spin)
        assert node.trigger("override") == (True, "goes on in spite of operator_gone")
        node.moves()
        assert node.trigger("estop") == (True, "estop")
        eventually(lambda: node.reactions[-1] == "zero", node.spin)
        assert node.trigger("override") == (False, "no fault is waiting for a decision")
        node.end(signal.SIGINT)


def test_the_page_of_a_bridge_hears_it_over_rclpy(files: Files):
    with simulated_robot(files), controller(*parameters(bridge=files.bridge)) as node:
        assert [node.change(c) for c in ("configure", "activate")] == [True, True]
        node.moves()
        view = ("view", "--bridge", str(files.bridge), "--transport", "rclpy", "--seconds", "8", "--port", "8093")
        with started("-m", "adaptive_mbrl", *view) as page:
            printed, mistakes = page.communicate(timeout=PATIENCE)
        node.end(signal.SIGINT)

    assert page.returncode == 0, mistakes
    assert "nothing heard" not in printed
    assert "Destroyable" not in mistakes


def test_a_parameter_of_a_configured_node_cannot_be_changed(files: Files):
    with controller(*parameters(bridge=files.bridge)) as node:
        assert node.set("deadline", 0.5) == (True, "")
        assert node.change("configure")
        late = "takes effect in configure, and the node is configured already; deactivate and clean up first"
        assert node.set("bridge", "/nope.yaml") == (False, f"'bridge' {late}")
        assert node.set("deadline", 0.6) == (False, f"'deadline' {late}")
        # what it is already
        assert node.set("deadline", 0.5) == (True, "")
        assert node.change("cleanup")
        assert node.set("deadline", 0.6) == (True, "")
        assert [node.change("configure"), node.state] == [True, "inactive"]
        node.end(signal.SIGINT)


def test_a_node_in_a_namespace_controls_the_robot_there(files: Files):
    files.bridge.write_text(files.bridge.read_text().replace("/joint_states", "joint_states").replace("/commands", "commands"))
    namespace = ("-r", "__ns:=/robot_1")
    arguments = [*namespace, *parameters(bridge=files.bridge, preflight_seconds=2.0)]
    with (
        simulated_robot(files, *namespace),
        controller(*arguments, namespace="/robot_1") as node,
    ):
        assert [node.change(c) for c in ("configure", "activate")] == [True, True]
        node.moves()
        assert node.trigger("estop") == (True, "estop")
        code, mistakes = node.end(signal.SIGINT)

    assert code == 0, mistakes
    assert errors(mistakes) == []


def test_a_topic_can_be_remapped(files: Files):
    """The simulated robot keeps its names; the controller's are mapped to them."""
    own = files.bridge.with_name("own.yaml")
    own.write_text(files.bridge.read_text().replace("/joint_states", "/measured").replace("/commands", "/wanted"))
    remapped = ("-r", "/measured:=/joint_states", "-r", "/wanted:=/commands")
    with simulated_robot(files), controller(*remapped, *parameters(bridge=own, preflight_seconds=2.0)) as node:
        assert [node.change(c) for c in ("configure", "activate")] == [True, True]
        node.moves()
        code, mistakes = node.end(signal.SIGINT)

    assert code == 0, mistakes


def test_under_simulated_time_stamps_are_of_the_simulation(files: Files):
    """The clock runs at half the speed; by their arrival the messages would seem to come later and later."""
    with started(CLOCK) as process, controller(*parameters(bridge=files.bridge, use_sim_time=True)) as node:
        assert process.stdout.readline() == "ready\n"
        assert [node.change(c) for c in ("configure", "activate")] == [True, True]
        stamps: list[float] = []
        node.node.create_subscription(
            DiagnosticArray, "/diagnostics", lambda m: stamps.append(m.header.stamp.sec + 1e-9 * m.header.stamp.nanosec), 10
        )
        node.moves()
        node.states.clear()
        eventually(lambda: len(stamps) >= 6, node.spin)
        code, _ = node.end(signal.SIGINT)

    assert code == 0
    assert set(node.states) <= {"running"}
    # the simulation began at 1000 s
    assert all(1000 < stamp < 1100 for stamp in stamps)
    assert 0.3 < (stamps[-1] - stamps[0]) / (len(stamps) - 1) < 0.7


def test_an_emergency_stop_is_answered_during_a_transition(files: Files):
    arguments = parameters(bridge=files.bridge, preflight_seconds=5.0)
    with simulated_robot(files), controller(*arguments) as node:
        configured = node.changing("configure")
        eventually(lambda: "_preflight" in str(node.node.get_node_names()), node.spin)

        assert node.trigger("estop") == (True, "estop")
        assert not configured.done()

        assert eventually(lambda: configured.done() and configured.result(), node.spin).success
        assert [node.change("activate"), node.state] == [False, "inactive"]
        node.end(signal.SIGINT)


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGINT)],
    ids=["SIGINT", "SIGTERM", "SIGINT twice"],
)
def test_a_signal_ends_it_with_the_safe_command(files: Files, numbers: tuple[signal.Signals, ...]):
    with simulated_robot(files), controller(*parameters(bridge=files.bridge)) as node:
        assert node.change("configure")
        assert node.change("activate")
        node.moves()

        code, mistakes = node.end(*numbers)

    assert code == 0, mistakes
    assert node.commands[-1] == [0.0]
    assert "Traceback" not in mistakes


def test_a_transition_that_cannot_be_is_refused_and_harms_nothing(files: Files):
    with simulated_robot(files), controller(*parameters(bridge=files.bridge)) as node:
        assert [node.change("activate"), node.state] == [False, "unconfigured"]
        assert node.change("configure")
        assert node.change("activate")
        assert [node.change("cleanup"), node.state] == [False, "active"]
        node.moves()
        code, mistakes = node.end(signal.SIGINT)

    assert code == 0
    assert mistakes.count("no transition '") == 2


def test_configure_listens_to_the_robot(files: Files):
    """With the name that a launch gives the node: the ears keep their own, and no two nodes have one name."""
    silent = files.bridge.with_name("silent.yaml")
    silent.write_text(files.bridge.read_text().replace("/joint_states", "/nobody/joint_states"))
    arguments = ["-r", "__node:=adaptive_mpc", *parameters(bridge=silent, preflight_seconds=2.0)]
    with simulated_robot(files), controller(*arguments) as node:
        assert [node.change("configure"), node.state] == [False, "unconfigured"]
        assert node.set("bridge", str(files.bridge)) == (True, "")
        assert [node.change("configure"), node.state] == [True, "inactive"]
        assert node.change("activate")
        node.moves()
        code, mistakes = node.end(signal.SIGINT)

    assert code == 0
    told = errors(mistakes)
    assert len(told) == 1
    assert "preflight: " in told[0]
    assert "topic /nobody/joint_states: no message" in told[0]
    assert "same name" not in mistakes


def test_a_recording_is_a_bag(files: Files, tmp_path: Path):
    folder = tmp_path / "bag"
    with simulated_robot(files), controller(*parameters(bridge=files.bridge, record=folder)) as node:
        assert node.change("configure")
        assert node.change("activate")
        node.moves()
        assert node.change("deactivate")
        assert node.change("cleanup")
        with Bag(folder) as bag:
            topics = set(bag.topics)
            received = [name for name, _, _ in bag.messages({"/joint_states": JointState, "/commands": Float64MultiArray})]
        # a bag is never overwritten
        assert [node.change("configure"), node.state] == [False, "unconfigured"]
        _, mistakes = node.end(signal.SIGINT)

    assert topics >= {"/joint_states", "/commands", "/diagnostics", "/adaptive_mpc/state", "/adaptive_mpc/plan"}
    assert received.count("/joint_states") > 5
    assert received.count("/commands") > 5
    assert f"{folder}: exists already" in mistakes
