"""Collectors as actors of a Ray cluster. Their episodes come back through Ray, and this process appends them to the run's store.

The machines of the cluster need this package and the files of the scenarios and the robot, but not the run folder.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.dump import DUMP_FOLDER
from adaptive_mbrl.errors import ConfigError, reason_of
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.recorder import RECORD_FILE
from adaptive_mbrl.training.rounds import TRAINER_FILE
from sim.robot.loading import load_task
from sim.scenarios.loading import load_training_part
from sim.training.collecting import collect_part
from sim.training.collectors import Outcome
from sim.training.parts import Part

ADDRESS = "RAY_ADDRESS"
"""Environment variable with the address of a running cluster; without it Ray starts here, and ends with the training."""

CONNECT_SECONDS = 10.0
"""How long the cluster at that address has to answer [s]."""

START_SECONDS = 120.0
"""How long a collector has to start; it may have to wait for a free core of the cluster [s]."""


class RayEngine:
    """Runs a `Collecting` actor for each collector, on one core each.

    Args:
        config: the configuration of the training.
        spec: the robot's spec.
        run: the run folder.
        num: number of collectors.

    Raises:
        ConfigError: Ray is not installed or does not start, or there is no cluster at the address.
    """

    def __init__(self, config: TrainConfig, spec: RobotSpec, run: Path, num: int) -> None:
        self._ray = _connected(num)
        self._config = config
        self._spec, self._folder = spec, run / "episodes"
        self._actors: dict[int, Any] = {}
        self._starting: dict[int, tuple[Any, float]] = {}
        self._results: dict[Any, int] = {}
        self._sent: tuple[Path, Any] | None = None

    def start(self, collector: int) -> None:
        remote = self._ray.remote(num_cpus=1, max_restarts=0)(Collecting)
        self._actors[collector] = actor = remote.remote(self._config)
        self._starting[collector] = actor.__ray_ready__.remote(), time.monotonic() + START_SECONDS

    def collect(self, collector: int, part: Part, checkpoint: Path) -> None:
        if self._sent is None or self._sent[0] != checkpoint:
            # once for all actors that take it up
            self._sent = checkpoint, self._ray.put(_files(checkpoint))
        result = self._actors[collector].collect.remote(asdict(part), self._sent[1])
        self._results[result] = collector

    def outcomes(self, seconds: float) -> Sequence[Outcome]:
        if late := self._late():
            return late
        if not self._results:
            # an actor that is lost while it has nothing to do is noticed when it gets something
            time.sleep(seconds)
            return []
        ready, _ = self._ray.wait([*self._results], timeout=seconds)
        return [self._outcome(result) for result in ready]

    def close(self) -> None:
        for actor in self._actors.values():
            self._ray.kill(actor)
        self._actors.clear()
        self._starting.clear()
        self._results.clear()
        self._sent = None
        self._ray.shutdown()

    def _late(self) -> Sequence[Outcome]:
        """Give up the collectors that have not started in time."""
        for collector, (ready, _) in [*self._starting.items()]:
            if self._ray.wait([ready], timeout=0)[0]:
                del self._starting[collector]
        now = time.monotonic()
        late = [collector for collector, (_, until) in self._starting.items() if now > until]
        for collector in late:
            del self._starting[collector]
            self._ray.kill(self._actors[collector])
        self._results = {result: collector for result, collector in self._results.items() if collector not in late}
        why = f"it has not started within {START_SECONDS:.0f} s; has the Ray cluster a free core for it?"
        return [Outcome(collector, why) for collector in late]

    def _outcome(self, result: Any) -> Outcome:
        collector = self._results.pop(result)
        try:
            episodes, about = self._ray.get(result)
        except self._ray.exceptions.RayError as error:
            self._ray.kill(self._actors[collector])
            words = [line.strip() for line in str(error).splitlines() if line.strip()]
            # of an exception in an actor the last line says what it was, of a lost actor the first
            told = words[-1 if isinstance(error, self._ray.exceptions.RayTaskError) else 0]
            return Outcome(collector, f"{type(error).__name__}: {told}")
        EpisodeStore(self._spec, self._folder).append(episodes, about)
        return Outcome(collector)


class Collecting:
    """Collects parts for a training; it lives in an actor.

    Args:
        config: the configuration of the training.
    """

    def __init__(self, config: TrainConfig) -> None:
        assert config.scenarios is not None
        self._config = config
        self._distribution = load_training_part(config.scenarios)
        self._robot = load_task(self._distribution.robot)

    def collect(self, part: Mapping[str, int], checkpoint: Mapping[str, bytes]) -> tuple[list[Episode], dict[str, Any]]:
        """Collect a part with a checkpoint.

        Args:
            part: fields of the `Part`.
            checkpoint: contents of the checkpoint's files, by name.

        Returns:
            What `collect_part` returns.
        """
        with tempfile.TemporaryDirectory() as folder:
            for name, content in checkpoint.items():
                (Path(folder) / name).write_bytes(content)
            return collect_part(self._config, self._robot, self._distribution, Part(**part), Path(folder), DUMP_FOLDER)


def _files(checkpoint: Path) -> dict[str, bytes]:
    """The contents of a checkpoint's files, by name, without the optimiser's state that lies beside them in a round's folder."""
    return {file.name: file.read_bytes() for file in checkpoint.iterdir() if file.name not in (TRAINER_FILE, RECORD_FILE)}


def _connected(num: int) -> Any:
    """Ray, connected to a cluster or started here without what reports to others."""
    address = os.environ.get(ADDRESS)
    # these are read when Ray is imported
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if not address and "RAY_AUTH_MODE" not in os.environ:
        # a token for this training alone, where Ray would write one into the user's home
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    ray = extra_package("ray", "ray")
    on_sigterm = signal.getsignal(signal.SIGTERM)
    if address:
        _join(ray, address, num)
    else:
        _begin(ray, num)
    if on_sigterm is not signal.SIG_DFL:
        # Ray puts its own in the place of the training's
        signal.signal(signal.SIGTERM, on_sigterm)
    return ray


def _join(ray: Any, address: str, num: int) -> None:
    try:
        _require_answer(address)
        ray.init(address=address, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"environment variable {ADDRESS}: no Ray cluster answers at {address}: {error}") from error
    free = int(ray.available_resources().get("CPU", 0))
    if free < num:
        # others may end, or the cluster may grow
        tqdm.write(
            f"The Ray cluster at {address} has {free} free cores for {num} collectors; one that gets none within "
            f"{START_SECONDS:.0f} s counts as lost"
        )


def _begin(ray: Any, num: int) -> None:
    try:
        ray.init(address="local", num_cpus=num, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
    except Exception as error:  # Ray raises plain ones, too
        told = f"{type(error).__name__}: {reason_of(error)}"
        raise ConfigError(f"flag '--engine ray': Ray cannot start on this machine: {told}") from error


def _require_answer(address: str) -> None:
    """Raise an `OSError` if nobody listens at an address; Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
