"""A collector as a process: it reads which part to collect from its input, appends the episodes to the run's store, and says so.

Its input ends when the training that started it ends, however that happens. Then it ends at once, so that none is left behind.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import TextIO

from adaptive_mbrl.runtime import prepare_process

DONE = "."
"""What it answers, one character, when the episodes of a part are in the store."""


def main() -> None:
    """Collect until the input ends; the only argument is the run folder."""
    prepare_process()
    # Ctrl-C in a terminal reaches all processes there; the training ends its collectors itself
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # whatever a library prints is no answer
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, orders), daemon=True).start()
    _collect(Path(sys.argv[1]), orders, answers)


def _listen(lines: TextIO, orders: queue.SimpleQueue[str]) -> None:
    for line in lines:
        orders.put(line)
    # in the middle of an episode, too; a batch that is being written is there as a whole or not at all
    os._exit(0)


def _collect(run: Path, orders: queue.SimpleQueue[str], answers: TextIO) -> None:
    from adaptive_mbrl.config import load_yaml
    from adaptive_mbrl.data.episodes import EpisodeStore
    from adaptive_mbrl.training.config import TrainConfig
    from adaptive_mbrl.training.plain_progress import plain_bars
    from adaptive_mbrl.training.run_folder import check_same_run
    from sim.robot.loading import load_task
    from sim.scenarios.loading import files_of_training, load_training_part
    from sim.training.collecting import collect_part
    from sim.training.parts import Part

    config = load_yaml(run / "config.yaml", TrainConfig)
    assert config.scenarios is not None
    distribution = load_training_part(config.scenarios)
    check_same_run(run, config, files_of_training(config.scenarios, distribution))
    robot = load_task(distribution.robot)
    while True:
        order = json.loads(orders.get())
        with plain_bars():
            part, checkpoint = Part(**order["part"]), Path(order["checkpoint"])
            episodes, about = collect_part(config, robot, distribution, part, checkpoint, run / "dumps")
        EpisodeStore(robot.spec, run / "episodes").append(episodes, about)
        answers.write(DONE)
        answers.flush()


if __name__ == "__main__":
    main()
