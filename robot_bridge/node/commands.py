"""The sub-commands `bridge`, which runs the node until a signal comes, and `call`, which calls one of its services."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

from adaptive_mbrl.errors import BridgeError
from adaptive_mbrl.options import BridgeOptions, CallOptions
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.guard.line import GuardLine
from robot_bridge.guard.process import GuardProcess
from robot_bridge.machine.realtime import GUARD_PRIORITY, make_punctual
from robot_bridge.middleware.connect import environment_domain, open_transport
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import Response, SetBoolRequest, TriggerRequest
from robot_bridge.node.adaptive_mpc import NODE_NAME, AdaptiveMpc
from robot_bridge.node.parameters import NodeParameters
from robot_bridge.ownership.claims import GUARD_SUFFIX, OwnershipError
from robot_bridge.stopping import interruptible, stop_on_signals
from robot_bridge.topic_names import require_namespace, with_whole_names

LOADING_SECONDS = 60.0
"""Longest wait for the answer of a service that may load a checkpoint [s]."""
REPORT_EVERY = 1.0
"""Time between two reports on the terminal [s]."""


def bridge(options: BridgeOptions) -> None:
    """Control a robot until SIGINT or SIGTERM, then bring it to rest."""
    stop, guard_line = stop_on_signals(), GuardLine.of_this_process()
    if options.guard and guard_line is None:
        _guard(options, stop)
        return
    transport = open_transport(options.transport, NODE_NAME, options.domain, options.interface, options.namespace)
    name = transport.resolve(NODE_NAME).lstrip("/")
    node = AdaptiveMpc(transport, name, guard_line)
    parameters = NodeParameters(
        str(options.bridge),
        options.dry_run,
        options.device,
        options.deadline,
        options.preflight_seconds,
        "" if options.record is None else str(options.record),
        options.standby,
        options.memory_limit,
        options.realtime,
        options.cpus,
    )
    # the lifecycle node in lifecycle.py has transitions instead of these two services
    transport.serve(f"/{name}/activate", TriggerRequest, lambda request: _respond_with_state(node, node.activate))
    transport.serve(f"/{name}/deactivate", TriggerRequest, lambda request: _respond_with_state(node, node.deactivate))
    try:
        print(f"loading {options.bridge}", flush=True)
        with interruptible():
            lines = node.configure(parameters, transport)
        for line in lines:
            print(line, flush=True)
        if not node.knows_where_to_start:
            print("waiting for the joints' positions", flush=True)
        while not (stop.is_set() or node.knows_where_to_start):
            stop.wait(0.1)
        if not stop.is_set():
            _activate(node)
        while not stop.wait(REPORT_EVERY):
            print(node.report(), flush=True)
        node.deactivate()
        print(node.report(), flush=True)
    except KeyboardInterrupt:
        # raised while it loaded: nothing was sent, so nothing has to come to rest
        print("stopped before the start", flush=True)
    finally:
        recorded = node.clean_up()
        if recorded:
            print(recorded, flush=True)
        transport.close()


def _guard(options: BridgeOptions, stop: threading.Event) -> None:
    """Run the same command in a process of its own, and guard it."""
    config = load_bridge_config(options.bridge)
    transport = open_transport(
        options.transport, f"{NODE_NAME}{GUARD_SUFFIX}", options.domain, options.interface, options.namespace
    )
    config = with_whole_names(config, transport.resolve)
    try:
        for line in make_punctual(options.realtime, options.cpus, {threading.get_native_id(): GUARD_PRIORITY}, keeps_cores=True):
            print(f"guard: {line}", flush=True)
        code = GuardProcess(config, transport, stop, options.memory_limit).run(("bridge", *arguments_of(options)))
    finally:
        transport.close()
    if code:
        raise BridgeError(f"the controller has ended with exit code {code}")


def arguments_of(options: BridgeOptions) -> list[str]:
    """The flags that give these options."""
    words = []
    for field in dataclasses.fields(options):
        value, flag = getattr(options, field.name), f"--{field.name.replace('_', '-')}"
        if value is True:
            words.append(flag)
        elif value is not False and value not in (None, ""):
            words += [flag, str(value)]
    return words


def _activate(node: AdaptiveMpc) -> None:
    """Start to control. If an emergency stop came in the meantime, print that and wait in it.

    Raises:
        OwnershipError: somebody else has the robot.
    """
    try:
        node.activate()
    except OwnershipError:
        raise
    except BridgeError as error:
        print(error, flush=True)


def call(options: CallOptions) -> None:
    """Call a service of a running node and print its answer."""
    request = SetBoolRequest(not options.off) if options.service == "freeze_adaptation" else TriggerRequest()
    require_namespace(options.namespace)
    domain = environment_domain() if options.domain is None else options.domain
    transport = DdsTransport(domain, options.interface, namespace=options.namespace)
    try:
        patience = max(options.timeout, LOADING_SECONDS) if options.service in ("activate", "reload") else options.timeout
        response = transport.call(transport.resolve(f"{NODE_NAME}/{options.service}"), request, options.timeout, patience)
    finally:
        transport.close()
    if not response.success:
        raise BridgeError(f"{options.service}: {response.message}")
    print(f"{options.service}: {response.message}")


def _respond_with_state(node: AdaptiveMpc, act: Callable[[], None]) -> Response:
    try:
        act()
    except BridgeError as error:
        return Response(False, str(error))
    return Response(True, node.state_in_words)
