"""The sub-command `view --bridge`: the live page of a bridge, until a signal comes."""

from __future__ import annotations

import math
import time

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import ViewOptions
from adaptive_mbrl.viewing.serving import served_page
from robot_bridge.middleware.connect import environment_domain, open_transport
from robot_bridge.stopping import stop_on_signals
from robot_bridge.streams.watched import Watched
from robot_bridge.viewing.calls import Calls
from robot_bridge.viewing.heard import Heard
from robot_bridge.viewing.page import BridgePage

VIEW = "adaptive_mbrl_view"
"""The name of the page's own node, with `rclpy`."""
SILENT_SECONDS = 5.0
"""Time without a message after which the terminal says so, too [s]."""
DRAW_PERIOD = 0.2
"""Time between two drawings of the page [s]."""


def view(options: ViewOptions) -> None:
    """Serve the page of a bridge until SIGINT or SIGTERM."""
    if options.bridge is None:
        raise ConfigError("--bridge: missing; allowed: the bridge file of a running bridge")
    watched = Watched.load(options.bridge, options.node)
    domain = environment_domain() if options.domain is None else options.domain
    where = f"in domain {domain}" + (f" on interface '{options.interface}'" if options.transport == "dds" else "")
    with served_page(watched.spec.name, options.host, options.port) as page:
        stop = stop_on_signals()
        # two transports, so that the answers of services do not wait for observations
        listening, calling = (
            open_transport(options.transport, f"{VIEW}_{part}", domain, options.interface) for part in ("topics", "calls")
        )
        try:
            heard, shown = Heard(watched, listening), BridgePage(page, watched, Calls(watched, calling), where)
            begun = time.monotonic()
            seconds, said = math.inf if options.seconds is None else options.seconds, False
            while not stop.wait(DRAW_PERIOD) and time.monotonic() < begun + seconds:
                snapshot = heard.snapshot()
                shown.draw(snapshot)
                if not (said or snapshot.messages) and snapshot.now > begun + SILENT_SECONDS:
                    said = True
                    print(f"nothing heard of /{watched.node} {where} yet; is the bridge running there?", flush=True)
        finally:
            listening.close()
            calling.close()
