"""The node over real sockets: its life, services and topics, with a robot that stands still."""

from __future__ import annotations

import dataclasses
import gc
import math
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adaptive_mbrl.checkpoint import load_checkpoint, save_checkpoint
from adaptive_mbrl.diagnosis import Diagnosis, DiagnosisConfig, size_of
from adaptive_mbrl.errors import BridgeError, ConfigError
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import (
    Bool,
    DiagnosticArray,
    Float64MultiArray,
    Header,
    JointState,
    Log,
    LogLevel,
    Message,
    Response,
    SetBoolRequest,
    String,
    Time,
    TriggerRequest,
    TriggerResponse,
)
from robot_bridge.node import adaptive_mpc
from robot_bridge.node.adaptive_mpc import AdaptiveMpc
from robot_bridge.node.diagnostics import ERROR, OK, STALE
from robot_bridge.node.parameters import NodeParameters
from robot_bridge.node.telemetry import BELIEF
from robot_bridge.safety.states import State
from tests.bridge.waiting import PATIENCE, wait_until
from tests.cartpole_bridge import BRIDGE

DOMAIN = 20 + os.getpid() % 40
STANDING = JointState(name=["slider", "hinge_1"], position=[0.0, 0.1], velocity=[0.0, 0.0])


class Listener:
    """Keeps what came and waits for what shall come."""

    def __init__(self) -> None:
        self._came: list[Message] = []
        self._changed = threading.Condition()

    def __call__(self, message: Message, received: float) -> None:
        with self._changed:
            self._came.append(message)
            self._changed.notify_all()

    def wait_for(self, is_it: Callable[[Message], bool]) -> Message:
        """The first one from now on."""
        with self._changed:
            begin = len(self._came)
            assert self._changed.wait_for(lambda: any(map(is_it, self._came[begin:])), PATIENCE)
            return next(m for m in self._came[begin:] if is_it(m))


@pytest.fixture
def transport() -> Iterator[DdsTransport]:
    opened = DdsTransport(DOMAIN)
    yield opened
    opened.close()


@pytest.fixture
def parameters(tmp_path: Path, make_checkpoint: Callable[..., Path]) -> NodeParameters:
    path = tmp_path / "bridge.yaml"
    path.write_text(BRIDGE.format(checkpoint=make_checkpoint(tmp_path / "checkpoint")))
    return NodeParameters(str(path))


@pytest.fixture
def robot(transport: DdsTransport) -> Iterator[Listener]:
    """Publishes that it stands still; what it gets is heard."""
    end, publish, commands = threading.Event(), transport.publisher("/joint_states", JointState, reliable=False), Listener()
    transport.subscribe("/commands", Float64MultiArray, commands, reliable=True)

    def stand() -> None:
        while not end.wait(0.01):
            STANDING.header = Header(Time.of(transport.now()))
            publish(STANDING)

    thread = threading.Thread(target=stand)
    thread.start()
    yield commands
    end.set()
    thread.join()


@pytest.fixture
def node(transport: DdsTransport, hasty: None) -> Iterator[AdaptiveMpc]:
    made = AdaptiveMpc(transport)
    yield made
    made.clean_up()


@pytest.fixture
def ask(node: AdaptiveMpc) -> Iterator[Callable[..., Response]]:
    client = DdsTransport(DOMAIN)
    yield lambda service, request=None: client.call(f"/adaptive_mpc/{service}", request or TriggerRequest(), PATIENCE)
    client.close()


@pytest.fixture
def state(transport: DdsTransport) -> Listener:
    listener = Listener()
    transport.subscribe("/adaptive_mpc/state", String, listener, reliable=True)
    return listener


def test_whoever_looks_into_the_log_of_ros_sees_what_happens(node, transport, parameters, robot: Listener):
    log = Listener()
    transport.subscribe("/rosout", Log, log, reliable=True)
    node.configure(parameters, transport)

    threading.Timer(0.0, node.activate).start()
    # the ramp may be over before anybody looks
    line = log.wait_for(lambda m: m.msg.startswith(("ramp", "running", "hold")))
    assert (line.name, line.level) == ("adaptive_mpc", LogLevel.WARN if line.msg.startswith("hold") else LogLevel.INFO)
    threading.Timer(0.0, node.estop).start()
    assert log.wait_for(lambda m: m.msg.startswith("estop")).level == LogLevel.ERROR


@pytest.fixture
def frozen_alone(hasty: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is frozen but what a node freezes."""
    gc.unfreeze()
    monkeypatch.setattr(adaptive_mpc, "gc", gc)
    yield
    gc.collect()
    gc.freeze()


@pytest.mark.usefixtures("frozen_alone")
def test_it_controls_between_activate_and_deactivate(node, transport, parameters, robot: Listener, state: Listener):
    node.configure(parameters, transport)
    state.wait_for(lambda m: m.data == "inactive")
    node.activate()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    state.wait_for(lambda m: m.data == "running")
    robot.wait_for(lambda m: m.data != [0.0])
    node.deactivate()
    state.wait_for(lambda m: m.data == "inactive")

    assert gc.get_freeze_count() == 0
    assert "0 planner failures" in node.report()


MORE_STATES = [pytest.param(state, marks=pytest.mark.slow) for state in ("inactive", "dry_run", "ramp", "estop")]


@pytest.mark.usefixtures("frozen_alone")
@pytest.mark.parametrize("reached", ["unconfigured", "running", "hold", *MORE_STATES])
def test_the_emergency_stop_works_from_every_state(node, transport, parameters, request, state: Listener, ask, reached: str):
    if reached != "hold":
        request.getfixturevalue("robot")
    if reached == "ramp":
        path = Path(parameters.bridge)
        path.write_text(path.read_text().replace("ramp_seconds: 0.05", "ramp_seconds: 1000"))
    if reached != "unconfigured":
        node.configure(NodeParameters(parameters.bridge, dry_run=reached == "dry_run"), transport)
    active = ("dry_run", "ramp", "running", "hold", "estop")
    if reached in active:
        node.activate()
        state.wait_for(lambda m: m.data == ("running" if reached == "estop" else reached))
    if reached == "estop":
        ask("estop")

    assert ask("estop") == type(ask("estop"))(True, "estop")
    assert node.state is State.ESTOP
    if reached == "unconfigured":
        node.configure(parameters, transport)
    assert node.state is State.ESTOP
    with pytest.raises(BridgeError, match="cannot activate in state 'estop'; call clear_estop first"):
        node.activate()
    assert gc.get_freeze_count() == 0 or reached in active
    node.deactivate()
    node.clean_up()
    assert node.state is State.ESTOP  # not even losing the checkpoint ends it

    assert ask("clear_estop").message == "inactive"
    answer = ask("clear_estop")
    assert (answer.success, answer.message) == (False, "there is no emergency stop, state 'inactive'")
    node.configure(parameters, transport)
    node.activate()
    state.wait_for(lambda m: m.data == (reached if reached in ("ramp", "hold") else "running"))


def test_a_node_in_a_namespace_has_topics_and_services_of_its_own(parameters, transport: DdsTransport, hasty: None):
    path = Path(parameters.bridge)
    path.write_text(path.read_text().replace("/joint_states", "joint_states").replace("/commands", "commands"))
    inside = DdsTransport(DOMAIN, namespace="robot_1")
    node = AdaptiveMpc(inside, inside.resolve("adaptive_mpc").lstrip("/"))
    state, diagnostics, commands = Listener(), Listener(), Listener()
    transport.subscribe("/robot_1/adaptive_mpc/state", String, state, reliable=True)
    transport.subscribe("/diagnostics", DiagnosticArray, diagnostics, reliable=True)
    transport.subscribe("/robot_1/commands", Float64MultiArray, commands, reliable=True)
    publish, end = transport.publisher("/robot_1/joint_states", JointState, reliable=False), threading.Event()

    def stand() -> None:
        while not end.wait(0.01):
            publish(dataclasses.replace(STANDING, header=Header(Time.of(transport.now()))))

    thread = threading.Thread(target=stand)
    thread.start()
    try:
        node.configure(parameters, inside)
        node.activate()
        state.wait_for(lambda m: m.data == "running")
        commands.wait_for(lambda m: m.data != [0.0])
        named = diagnostics.wait_for(lambda m: True)
        answer = transport.call("/robot_1/adaptive_mpc/estop", TriggerRequest(), PATIENCE)
    finally:
        node.clean_up()
        end.set()
        thread.join()
        inside.close()

    assert answer.message == "estop"
    assert {status.name.partition(":")[0] for status in named.status} == {"robot_1/adaptive_mpc"}


def test_whoever_activates_is_told_why_the_robot_is_held(node, transport, parameters, robot: Listener):
    path = Path(parameters.bridge)
    path.write_text(path.read_text() + "  obs_limits: {pole_angle: {low: -0.05, high: 0.05}}\n")
    node.configure(parameters, transport)
    assert node.state_in_words == "inactive"

    node.activate()

    assert node.state_in_words == "hold: 'pole_angle' is 0.1; allowed: -0.05 to 0.05"


def test_deactivating_in_an_emergency_stop_leaves_its_safe_action_alone(node, transport, parameters, robot, ask, monkeypatch):
    """What deactivating would send on the way to rest is not what the emergency stop has chosen."""
    node.configure(parameters, transport)
    node.activate()
    robot.wait_for(lambda m: m.data != [0.0])
    ask("estop")
    led_to_rest = []
    monkeypatch.setattr(node._configured.loop, "come_to_rest", lambda: led_to_rest.append(True))

    node.deactivate()

    assert node.state is State.ESTOP
    assert not led_to_rest
    robot.wait_for(lambda m: m.data == [0.0])
    monkeypatch.undo()


def test_a_dry_run_is_no_publisher_of_commands(node, transport, parameters, robot, state: Listener, monkeypatch):
    published, publisher = [], transport.publisher

    def spy(topic: str, *arguments, **options):
        published.append(topic)
        return publisher(topic, *arguments, **options)

    monkeypatch.setattr(transport, "publisher", spy)
    node.configure(dataclasses.replace(parameters, dry_run=True), transport)
    node.activate()
    state.wait_for(lambda m: m.data == "dry_run")

    assert "/adaptive_mpc/plan" in published
    assert "/commands" not in published


def test_position_commands_begin_where_the_joint_is_known_to_be(node, transport, parameters, request, state: Listener):
    path = Path(parameters.bridge)
    output = "output: {topic: /trajectory, type: trajectory_msgs/msg/JointTrajectory, joints: [slider]}"
    written = path.read_text().replace("output: {topic: /commands}", output).replace("max_age: 5.0", "max_age: 0.5")
    path.write_text(f"{written}  safe_action: hold\n")
    node.configure(parameters, transport)
    with pytest.raises(BridgeError, match="where the joints are is not observed"):
        node.activate()
    publish = transport.publisher("/joint_states", JointState, reliable=False)

    def is_known() -> bool:
        publish(dataclasses.replace(STANDING, header=Header(Time.of(transport.now()))))
        return node.knows_where_to_start

    wait_until(is_known)
    # silence for longer than `max_age`: the joint may have been moved in the meantime
    wait_until(lambda: not node.knows_where_to_start)

    request.getfixturevalue("robot")
    node.activate()
    state.wait_for(lambda m: m.data == "running")


def test_the_belief_can_be_reset_and_frozen(node, transport, parameters, robot, state: Listener, ask):
    assert not ask("reset_belief").success
    assert ask("freeze_adaptation", SetBoolRequest(True)).message == "the node is not configured"
    node.configure(parameters, transport)
    node.activate()
    state.wait_for(lambda m: m.data == "running")
    planning = node._running().loop.planning
    controller = planning.controller
    was_reset = threading.Event()
    reset = controller.reset
    controller.reset = lambda: (reset(), was_reset.set())

    assert ask("freeze_adaptation", SetBoolRequest(True)).message == "the belief stays as it is"
    assert planning.is_frozen
    assert ask("freeze_adaptation", SetBoolRequest(False)).success
    assert not planning.is_frozen
    assert ask("reset_belief").success
    assert was_reset.wait(PATIENCE)


def test_plan_and_belief_can_be_looked_at(node, transport, parameters, robot):
    plans, beliefs = Listener(), Listener()
    transport.subscribe("/adaptive_mpc/plan", Float64MultiArray, plans)
    transport.subscribe("/adaptive_mpc/belief", Float64MultiArray, beliefs)
    node.configure(parameters, transport)
    node.activate()
    plan, belief = plans.wait_for(lambda m: True), beliefs.wait_for(lambda m: True)

    horizon = node._running().loop.planning.controller.settings.planner.horizon
    assert [(axis.label, axis.size, axis.stride) for axis in plan.layout.dim] == [("step", horizon, horizon), ("slide", 1, 1)]
    assert len(plan.data) == horizon
    assert belief.layout.dim[0].label.split(",")[:3] == ["prior_error", "adapted_error", "fell_back"]
    assert len(belief.data) == belief.layout.dim[0].size == len(BELIEF)


def test_a_diagnosis_can_be_looked_at_where_the_checkpoint_has_one(node, transport, parameters, robot, tmp_path):
    plain = load_checkpoint(tmp_path / "checkpoint")
    config = DiagnosisConfig(("actuator_gain slide", "friction"), hidden=(4,))
    read = Diagnosis(config, size_of(plain.adapter.prior(1)))
    about = dataclasses.replace(plain.description, diagnosis=config)
    save_checkpoint(tmp_path / "read", dataclasses.replace(plain, description=about, diagnosis=read))
    bridge = tmp_path / "read.yaml"
    bridge.write_text(BRIDGE.format(checkpoint=tmp_path / "read"))
    diagnoses = Listener()
    transport.subscribe("/adaptive_mpc/diagnosis", Float64MultiArray, diagnoses)
    node.configure(dataclasses.replace(parameters, bridge=str(bridge)), transport)
    node.activate()

    message = diagnoses.wait_for(lambda m: True)

    axes = [(axis.label, axis.size, axis.stride) for axis in message.layout.dim]
    assert axes == [("mean,std", 2, 4), ("actuator_gain slide,friction", 2, 2)]
    assert len(message.data) == 4
    assert min(message.data[2:]) > 0


def test_diagnostics_say_what_is_wrong(node, transport, parameters, request, ask):
    listener = Listener()
    transport.subscribe("/diagnostics", DiagnosticArray, listener, reliable=True)
    node.configure(parameters, transport)
    node.activate()

    def status(message: DiagnosticArray, part: str):
        return next(s for s in message.status if s.name == f"adaptive_mpc: {part}")

    silent = listener.wait_for(lambda m: status(m, "safety").level == ERROR)
    assert status(silent, "safety").message.startswith("hold; 'cart_position' was never received")
    assert status(silent, "inputs").level == STALE
    assert "pole_velocity" in status(silent, "inputs").message

    request.getfixturevalue("robot")
    running = listener.wait_for(lambda m: status(m, "safety").message == "running")
    assert (status(running, "inputs").level, status(running, "inputs").message) == (OK, "fresh")
    assert running.status[0].hardware_id == "cartpole"
    planner = {pair.key: pair.value for pair in status(running, "planner").values}
    assert int(planner["plans"]) > 0
    assert planner["device"] == "cpu"

    ask("estop")
    assert status(listener.wait_for(lambda m: status(m, "safety").level == ERROR), "safety").message.startswith("estop")


def test_what_is_wrong_with_a_file_is_said_in_configure(node, transport, parameters):
    path = Path(parameters.bridge)
    path.write_text(path.read_text().replace("hinge_1}", "hinge_1, unit: deg}", 1))

    with pytest.raises(ConfigError, match=r"bridge.yaml: unknown key 'obs.pole_angle.unit'; allowed keys: input, field, joint"):
        node.configure(parameters, transport)

    assert node.state is State.INACTIVE
    with pytest.raises(BridgeError, match="not configured"):
        node.activate()


RULE_NAMES = ["bayes_linear", "mixture"]
MORE_RULE_NAMES = [
    "latent",
    "context",
    "known_parameters",
    "history",
    "recurrent",
    "transformer",
    "soft_modules",
    "gauss_newton",
    "learned_loss",
    "multi_head",
    "embedding",
]


@pytest.mark.parametrize("rule", [*RULE_NAMES, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE_RULE_NAMES)])
def test_every_kind_of_rule_runs_on_a_robot(
    node, transport, parameters, robot, state, make_checkpoint, tmp_path: Path, rule: str
):
    path = tmp_path / f"{rule}.yaml"
    path.write_text(BRIDGE.format(checkpoint=make_checkpoint(tmp_path / rule, rule=rule)))
    beliefs = Listener()
    transport.subscribe("/adaptive_mpc/belief", Float64MultiArray, beliefs)

    node.configure(dataclasses.replace(parameters, bridge=str(path)), transport)
    node.activate()

    state.wait_for(lambda m: m.data == "running")
    # errors of prior and belief: from the second plan on there is something to compare
    belief = beliefs.wait_for(lambda m: math.isfinite(m.data[0]) and math.isfinite(m.data[1]))
    assert len(belief.data) == len(BELIEF)
    assert node._running().loop.planning.statistics.failures == 0
    assert robot.wait_for(lambda m: True)


def test_the_robot_runs_while_the_operator_is_there_and_a_person_may_go_on_without(
    node, transport, parameters, robot: Listener, state: Listener, ask
):
    path = Path(parameters.bridge)
    needed = "operator: {topic: /operator, max_age: 0.2}\nsafety:\n  reactions: {operator_gone: {action: zero, after: 1.0}}\n"
    path.write_text(path.read_text().replace("safety:\n", needed))
    reaction, say = Listener(), transport.publisher("/operator", Bool)
    transport.subscribe("/adaptive_mpc/reaction", String, reaction, reliable=True)
    node.configure(parameters, transport)
    threading.Timer(0.0, node.activate).start()
    reaction.wait_for(lambda m: m.data == "warn")  # nobody has ever been there

    state.wait_for(lambda m: m.data == "hold")
    assert node.report().endswith("the operator is not there")
    assert ask("override").message == "no fault is waiting for a decision"

    say(Bool(True))
    end = threading.Event()
    threading.Thread(target=lambda: [say(Bool(True)) for _ in iter(lambda: end.wait(0.02), True)]).start()
    state.wait_for(lambda m: m.data == "running")
    reaction.wait_for(lambda m: m.data == "none")
    end.set()
    reaction.wait_for(lambda m: m.data == "warn")
    assert ask("override") == TriggerResponse(True, "goes on in spite of operator_gone")
    say(Bool(False))  # it does not end the decision, since the fault has not been gone
    wait_until(lambda: "the operator is not there" in node.report())
    assert node.state is State.RUNNING
