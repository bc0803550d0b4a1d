"""A controller without a model: it speaks to the guard by the real line and sends a command in every control period.

It takes a tenth of the time to start that a controller with a model takes, so that it can be killed a hundred times. On SIGUSR1
it takes 1 GiB of memory.

python -m benchmarks.evidence.guard_client SPEC
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import numpy as np
import yaml

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.guard.line import GuardLine
from robot_bridge.safety.observation_checks import TrainingRange

BLOCK, BLOCKS = 16 << 20, 64
"""Memory that is taken at once [bytes], and how often. Such a block is taken in about 5 ms, so that commands go on meanwhile."""
COMMAND = 0.5
WARM_UP = 0.5
"""Time between the hello and the first command [s]. A real controller measures meanwhile how long a plan takes."""


def main() -> None:
    """Send commands until the process is ended."""
    spec = from_mapping(RobotSpec, yaml.safe_load(Path(sys.argv[1]).read_text()), source=sys.argv[1])
    line = GuardLine.of_this_process()
    if line is None:
        raise SystemExit("error: no guard has started this process")
    grows = threading.Event()
    signal.signal(signal.SIGUSR1, lambda number, frame: grows.set())
    threading.Thread(target=take_memory, args=(grows,), daemon=True).start()
    line.hello(spec, TrainingRange(np.zeros(spec.obs_dim), np.ones(spec.obs_dim)))
    pause = threading.Event()
    pause.wait(WARM_UP)
    while not pause.wait(spec.dt):
        line.command([COMMAND] * spec.action_dim)


def take_memory(begins: threading.Event) -> None:
    """Take much more than any guard allows a light controller, and keep it."""
    begins.wait()
    taken = [b"x" * BLOCK for _ in range(BLOCKS)]
    while taken:
        threading.Event().wait()


if __name__ == "__main__":
    main()
