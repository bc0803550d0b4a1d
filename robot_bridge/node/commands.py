"""The sub-commands `bridge`, which runs the node until a signal comes, and `call`, which calls one of its services."""

from __future__ import annotations

from collections.abc import Callable

from adaptive_mbrl.errors import BridgeError
from adaptive_mbrl.options import BridgeOptions, CallOptions
from robot_bridge.middleware.connect import environment_domain, open_transport
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import Response, SetBoolRequest, TriggerRequest
from robot_bridge.node.adaptive_mpc import NODE_NAME, AdaptiveMpc
from robot_bridge.node.parameters import NodeParameters
from robot_bridge.stopping import stop_on_signals

LOADING_SECONDS = 60.0
"""Longest wait for the answer of a service that may load a checkpoint [s]."""
REPORT_EVERY = 1.0
"""Time between two reports on the terminal [s]."""


def bridge(options: BridgeOptions) -> None:
    """Control a robot until SIGINT or SIGTERM, then bring it to rest."""
    stop = stop_on_signals()
    transport = open_transport(options.transport, NODE_NAME, options.domain, options.interface)
    node = AdaptiveMpc(transport)
    parameters = NodeParameters(
        str(options.bridge),
        options.dry_run,
        options.device,
        options.deadline,
        options.preflight_seconds,
        "" if options.record is None else str(options.record),
    )
    # the lifecycle node in lifecycle.py has transitions instead of these two services
    transport.serve(f"/{NODE_NAME}/activate", TriggerRequest, lambda request: _respond_with_state(node, node.activate))
    transport.serve(f"/{NODE_NAME}/deactivate", TriggerRequest, lambda request: _respond_with_state(node, node.deactivate))
    try:
        print(f"loading {options.bridge}", flush=True)
        for line in node.configure(parameters, transport):
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
    finally:
        recorded = node.clean_up()
        if recorded:
            print(recorded, flush=True)
        transport.close()


def _activate(node: AdaptiveMpc) -> None:
    """Start to control. If an emergency stop came in the meantime, print that and wait in it."""
    try:
        node.activate()
    except BridgeError as error:
        print(error, flush=True)


def call(options: CallOptions) -> None:
    """Call a service of a running node and print its answer."""
    request = SetBoolRequest(not options.off) if options.service == "freeze_adaptation" else TriggerRequest()
    transport = DdsTransport(environment_domain() if options.domain is None else options.domain, options.interface)
    try:
        patience = max(options.timeout, LOADING_SECONDS) if options.service in ("activate", "reload") else options.timeout
        response = transport.call(f"/{NODE_NAME}/{options.service}", request, options.timeout, patience)
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
    return Response(True, node.state.value)
