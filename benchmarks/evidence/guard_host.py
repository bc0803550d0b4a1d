"""The real guard, again and again in one process, each time around a new light controller.

python -m benchmarks.evidence.guard_host DOMAIN BRIDGE SPEC MEMORY_LIMIT

Each line on stdin ends the guard of the moment, which sends the safe action until then, and begins the next one.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress

from adaptive_mbrl.errors import BridgeError
from robot_bridge.bridge_config import load_bridge_config
from robot_bridge.guard.process import GuardProcess
from robot_bridge.middleware.dds import DdsTransport


def main() -> None:
    """Guard one controller after the other until stdin ends."""
    domain, bridge, spec, memory_limit = sys.argv[1:]
    config, transport = load_bridge_config(bridge), DdsTransport(int(domain))
    now, is_over = [threading.Event()], threading.Event()

    def listen() -> None:
        for _ in sys.stdin:
            now[0].set()
        is_over.set()
        now[0].set()

    threading.Thread(target=listen, daemon=True).start()
    while not is_over.is_set():
        now[0] = threading.Event()
        with suppress(BridgeError):
            GuardProcess(config, transport, now[0], float(memory_limit)).run_command(
                [sys.executable, "-m", "benchmarks.evidence.guard_client", spec]
            )
    transport.close()


if __name__ == "__main__":
    main()
