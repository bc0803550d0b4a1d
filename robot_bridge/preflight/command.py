"""The sub-command `preflight`: it listens, checks, moves every actuator a little if asked to, and reports."""

from __future__ import annotations

import sys
import time

from rich.console import Console

from adaptive_mbrl.console import make_console
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import PreflightOptions
from robot_bridge.bridge_config import BridgeConfig, load_bridge_config
from robot_bridge.control.inputs import Inputs
from robot_bridge.control.outputs import command_sender, present_positions
from robot_bridge.middleware.connect import open_transport
from robot_bridge.middleware.endpoints import Endpoints
from robot_bridge.middleware.transport import Transport
from robot_bridge.preflight.checks import Check, PreflightError, Verdict, failed, require_passed
from robot_bridge.preflight.inputs_check import check_inputs
from robot_bridge.preflight.listening import listen
from robot_bridge.preflight.motion import GentleMotion
from robot_bridge.preflight.response import check_responses
from robot_bridge.preflight.table import WIDTH, print_checks, write_checks
from robot_bridge.robot_files import load_controller, make_supervisor
from robot_bridge.safety.supervisor import SafetySupervisor
from robot_bridge.stopping import stop_on_signals
from robot_bridge.topic_names import with_whole_names
from robot_bridge.urdf import with_urdf_limits

OBSERVATION_TIMEOUT = 2.0
"""Longest wait for an observation before the motion [s]; the checks before it have received some."""


def preflight(options: PreflightOptions) -> None:
    """Check the robot, print the table, and raise an error if a check failed."""
    config = load_bridge_config(options.bridge)
    controller = load_controller(config, options.bridge, "cpu")
    config = with_urdf_limits(config, controller.spec, str(options.bridge))
    supervisor = make_supervisor(config, controller, options.bridge)
    if options.test_motion and not options.yes and not sys.stdin.isatty():
        raise ConfigError("--test-motion: no terminal to ask on; give --yes if the robot may move")
    console = make_console(WIDTH)
    transport = open_transport(options.transport, "preflight", options.domain, options.interface, options.namespace)
    config = with_whole_names(config, transport.resolve)
    try:
        listening = listen(config, transport, options.seconds)
        checks = check_inputs(config, supervisor, controller.settings.adapter.normalizer, listening)
        if options.test_motion:
            checks += _move(options, config, controller, supervisor, transport, checks, listening.endpoints, console)
    finally:
        transport.close()
    print_checks(checks, f"{options.bridge}, checkpoint {config.checkpoint}", console)
    if options.json is not None:
        write_checks(options.json, checks, {"bridge": str(options.bridge), "checkpoint": config.checkpoint})
        console.print(f"Written: {options.json}", markup=False, soft_wrap=True)
    require_passed(checks)


def _move(
    options: PreflightOptions,
    config: BridgeConfig,
    controller: AdaptiveController,
    supervisor: SafetySupervisor,
    transport: Transport,
    checks: list[Check],
    graph: Endpoints | None,
    console: Console,
) -> list[Check]:
    """The checks of the test motion. A robot with failed checks is not moved, nor one that gets commands from elsewhere."""
    if failed(checks):
        return [Check("test motion", Verdict.WARN, "not made", "repair what failed first")]
    if any(e.publishes and e.topic == config.output.topic for e in graph or ()):
        return [Check("test motion", Verdict.FAIL, "not made: somebody else sends commands", "stop the other controller")]
    if not options.yes and not _confirmed(options, controller, console):
        return [Check("test motion", Verdict.WARN, "not made: not confirmed", "run it once everything is clear")]
    spec = controller.spec
    inputs = Inputs(spec, config, transport)
    _wait_for_observation(supervisor, inputs)
    present = present_positions(config, spec, inputs.snapshot().values)
    # from here on a signal brings the robot to rest instead of ending the process at once
    stop = stop_on_signals()
    send = command_sender(spec, config.output, transport)
    try:
        trials = GentleMotion(spec, supervisor, inputs, send, options.amplitude, stop).run(present)
    except PreflightError as error:
        return [Check("test motion", Verdict.FAIL, str(error), "the supervisor stopped it: see the limits under 'safety'")]
    return check_responses(controller.settings.adapter, spec, trials)


def _confirmed(options: PreflightOptions, controller: AdaptiveController, console: Console) -> bool:
    names = ", ".join(controller.spec.action_names)
    console.print(
        f"The test motion moves {names}, one after the other, up and down by {100 * options.amplitude:g} % of their range.\n"
        "Is the robot supported, is nobody near it, and is a hand on its emergency stop?",
        markup=False,
    )
    try:
        return input("Move it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _wait_for_observation(supervisor: SafetySupervisor, inputs: Inputs) -> None:
    until = time.monotonic() + OBSERVATION_TIMEOUT
    while not supervisor.is_usable(time.monotonic(), inputs.snapshot()):
        if time.monotonic() > until:
            raise PreflightError(f"preflight: no test motion: no fresh and finite observation within {OBSERVATION_TIMEOUT:g} s")
        time.sleep(0.01)
