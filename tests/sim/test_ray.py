"""Collectors as actors of a local Ray."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.config import save_yaml
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import ConfigError
from sim.robot.robot import load_robot
from sim.training import ray_engine
from sim.training.collectors import Outcome
from sim.training.overlapped import train_with_collectors
from sim.training.parts import Part
from sim.training.ray_engine import RayEngine, _connected
from tests.bridge.waiting import PATIENCE, wait_until
from tests.sim.test_overlapped import ROOT, SCRIPT, SLOW_EPISODES
from tests.sim.test_train import TINY

ray = pytest.importorskip("ray")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cluster of the user's."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    # actors import the tests' checkout
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.mark.slow
def test_an_actor_that_is_killed_costs_its_episodes_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    run, killed, tokens = tmp_path / "run", [], set((Path.home() / ".ray").glob("*"))
    collect = RayEngine.collect

    def collect_and_kill(engine: RayEngine, collector: int, *order: object) -> None:
        collect(engine, collector, *order)
        if not killed:
            killed.append(collector)
            engine._ray.kill(engine._actors[collector])

    monkeypatch.setattr(RayEngine, "collect", collect_and_kill)
    before = signal.getsignal(signal.SIGTERM)
    handler = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        ours = signal.getsignal(signal.SIGTERM)
        train_with_collectors(SLOW_EPISODES, run, collectors=2, engine="ray")
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert signal.getsignal(signal.SIGTERM) is before

    assert f"collector {killed[0]} is lost: ActorDiedError: " in capsys.readouterr().out
    store = EpisodeStore.open(run / "episodes")
    assert sum(e.tags["source"] == "policy" for e in store.episodes) == 4
    assert [about["updates"] for about in store.abouts[1:]] == [3, 3]
    assert not ray.is_initialized()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert set((Path.home() / ".ray").glob("*")) == tokens


@pytest.mark.slow
def test_actors_collect_what_child_processes_do(tmp_path: Path):
    for engine in ("ray", "local"):
        train_with_collectors(SLOW_EPISODES, tmp_path / engine, collectors=1, engine=engine)

    ours, theirs = (EpisodeStore.open(tmp_path / engine / "episodes").episodes for engine in ("ray", "local"))
    for a, b in zip(ours, theirs, strict=True):
        assert a.tags == b.tags
        np.testing.assert_array_equal(a.action, b.action)


@pytest.mark.slow
def test_nothing_of_ray_outlives_a_training_that_is_killed(tmp_path: Path):
    run, config = tmp_path / "run", tmp_path / "config.yaml"
    save_yaml(config, TINY.__class__(**{**vars(TINY), "updates_initial": 10**6}))
    script = SCRIPT.replace("collectors=2", "collectors=1, engine='ray'")
    # Ray's processes have the token in their environment, by which they are found
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_AUTH_TOKEN": f"{os.getpid():064x}"}

    def rays() -> int:
        """Number of processes that this training's Ray consists of."""
        found = 0
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                ours = environment["RAY_AUTH_TOKEN"].encode() in (folder / "environ").read_bytes()
                alive = (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
                # Ray's agents say goodbye to a cluster that is gone, and give up after a minute
                is_agent = b"Agent" in (folder / "cmdline").read_bytes()
            except OSError:
                continue
            found += ours and alive and not is_agent and int(folder.name) != learner.pid
        return found

    learner = subprocess.Popen([sys.executable, "-c", script, str(config), str(run)], env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: rays() > 0 and any((run / "episodes").glob("0*")))
        learner.kill()
        learner.wait(PATIENCE)
        wait_until(lambda: rays() == 0)
    finally:
        learner.kill()
        learner.wait()


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(ConfigError, match=r"package 'ray' is not installed; pip install 'adaptive-mbrl\[ray\]'"):
        _connected(1)


def test_an_address_without_a_cluster_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")

    with pytest.raises(ConfigError, match=r"RAY_ADDRESS: no Ray cluster answers at 127.0.0.1:9"):
        _connected(1)


def test_a_ray_that_cannot_start_here_says_why(monkeypatch: pytest.MonkeyPatch):
    def fail(**settings: object) -> None:
        raise Exception("The current node timed out during startup.\nSee its logs.")

    # the messages of a cluster would speak of an address that nobody has given
    monkeypatch.setattr(ray, "init", fail)

    with pytest.raises(ConfigError, match=r"^flag '--engine ray': Ray cannot start .*: The current node timed out.*up\. See its"):
        _connected(1)


@pytest.mark.slow
def test_a_collector_that_gets_no_core_is_lost_and_the_others_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    engine = RayEngine(SLOW_EPISODES, load_robot("cartpole").spec, tmp_path, 1)
    try:
        engine.start(0)
        wait_until(lambda: not engine.outcomes(0.1) and not engine._starting)
        monkeypatch.setattr(ray_engine, "START_SECONDS", 0.0)
        engine.start(1)
        engine.collect(1, Part(1, 0, 1), tmp_path)

        assert engine.outcomes(0.1) == [Outcome(1, "it has not started within 0 s; has the Ray cluster a free core for it?")]
        assert engine.outcomes(0.1) == []
    finally:
        engine.close()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a cluster that was there before the training."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("RAY_AUTH_TOKEN", f"{os.getpid():064x}")
    # Ray 2.60 sends the token of the environment to an existing cluster only if it is told to
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    command = [Path(sys.executable).parent / "ray", "start", "--head", f"--port={port}", "--num-cpus=2", "--block"]
    flags = ["--include-dashboard=false", "--disable-usage-stats"]
    with (tmp_path / "cluster.log").open("w") as log:
        head = subprocess.Popen([*command, *flags], stdout=log, stderr=log)

    def answers() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return head.poll() is not None
        return True

    try:
        wait_until(answers)
        yield f"127.0.0.1:{port}"
        assert head.poll() is None, "the training has ended a cluster that is not its own"
    finally:
        head.terminate()
        head.wait(PATIENCE)


@pytest.mark.slow
def test_a_cluster_that_is_there_is_used_and_left_alone(tmp_path: Path, cluster: str):
    run, config = tmp_path / "run", tmp_path / "config.yaml"
    save_yaml(config, SLOW_EPISODES)
    script = SCRIPT.replace("collectors=2", "collectors=2, engine='ray'")
    # a process of its own, because Ray reads its environment once
    environment = {**os.environ, "RAY_ADDRESS": cluster}
    subprocess.run([sys.executable, "-c", script, str(config), str(run)], env=environment, check=True, timeout=5 * PATIENCE)

    store = EpisodeStore.open(run / "episodes")
    assert sum(e.tags["source"] == "policy" for e in store.episodes) == 4
    # what was collected came through the cluster
    assert not (run / "collectors").exists()


@pytest.mark.slow
def test_a_cluster_with_fewer_free_cores_than_collectors_is_told(cluster: str):
    code = "from sim.training.ray_engine import _connected; _connected(2).shutdown(); _connected(3)"
    environment = {**os.environ, "RAY_ADDRESS": cluster}
    told = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True, timeout=5 * PATIENCE)

    assert told.splitlines() == [
        f"The Ray cluster at {cluster} has 2 free cores for 3 collectors; one that gets none within 120 s counts as lost"
    ]
