"""Episodes that are pushed into a training from elsewhere, while it goes on."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.store_lock import PUSH, StoreInUseError, store_lock
from adaptive_mbrl.errors import AdaptiveMBRLError, CheckpointError, ConfigError
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.options import DataPushOptions
from adaptive_mbrl.training.push import push
from adaptive_mbrl.training.rounds import RoundRecord
from adaptive_mbrl.training.seen import Seen, seen_by
from sim.robot.robot import load_robot
from sim.training.overlapped import OverlappedTraining
from sim.training.train import open_training
from tests.sim.test_overlapped import collecting_here
from tests.sim.test_train import CPU, TINY, Interruption, first_round, interrupt_call, readable_rounds


def recorded(folder: Path, robot: str = "cartpole", seed: int = 0, steps: int = 12) -> EpisodeStore:
    """A store with one more episode, as a robot would have recorded it."""
    spec, rng = load_robot(robot).spec, np.random.default_rng(seed)
    action = np.stack([rng.uniform(a.low, a.high, steps) for a in spec.action], axis=1).astype(np.float32)
    obs = rng.normal(size=(steps + 1, spec.obs_dim)).astype(np.float32)
    store = EpisodeStore.open(folder, spec)
    store.append([Episode(obs, action, np.zeros(steps, np.float32), {"source": "bag"})], {"part": "of something else"})
    return store


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """A run that takes episodes of collectors, and was interrupted while it fitted round 1."""
    with pytest.MonkeyPatch.context() as patch:
        interrupt_call(patch, MetaTrainer, "step", 3 + 2)
        with pytest.raises(Interruption):
            collecting_here(tmp_path / "run")
    return tmp_path / "run"


def test_the_next_round_is_fitted_to_what_was_pushed_while_the_one_before_went_on(interrupted: Path, tmp_path: Path, capsys):
    recorded(tmp_path / "monday")
    push(DataPushOptions(tmp_path / "monday", interrupted))
    assert capsys.readouterr().out == f"{interrupted}: 1 episodes, 12 steps added; 0 files were there already\n"
    recorded(tmp_path / "monday", seed=1)
    push(DataPushOptions(tmp_path / "monday", interrupted))
    assert "1 episodes, 12 steps added; 1 files were there already" in capsys.readouterr().out

    collecting_here(interrupted)

    # the round that was interrupted goes on with what it had; collectors still have the whole budget
    assert seen_by(interrupted, 1).batches == 1
    assert seen_by(interrupted, 2).staleness.count(-1) == 2
    last = load_yaml(interrupted / "rounds" / "003" / "round.yaml", RoundRecord)
    assert last.env_steps == (3 + 2 + 2 * 3 + 2) * 12
    assert readable_rounds(interrupted) == 4
    sources = [e.tags["source"] for e in EpisodeStore.open(interrupted / "episodes").episodes]
    assert sources.count("bag") == 2
    with pytest.raises(ConfigError, match="the last round has begun or is over; allowed: a training that has more, or fine-tune"):
        push(DataPushOptions(tmp_path / "monday", interrupted))


def test_a_robot_may_be_earlier_than_the_first_episodes_of_the_training(tmp_path: Path):
    run = tmp_path / "run"
    recorded(tmp_path / "monday")
    kind = functools.partial(OverlappedTraining, num=0, engine="local")
    with open_training(TINY, run, CPU, kind=kind):
        push(DataPushOptions(tmp_path / "monday", run))

    collecting_here(run)

    assert seen_by(run, 0) == Seen(2, (-1, -1))
    last = load_yaml(run / "rounds" / "003" / "round.yaml", RoundRecord)
    assert last.env_steps == (3 + 2 + 2 * 3 + 1) * 12


def refused(folder: Path, run: Path, kind: type[AdaptiveMBRLError], match: str) -> None:
    before = sorted((run / "episodes").glob("*"))
    with pytest.raises(kind, match=match):
        push(DataPushOptions(folder, run))
    assert sorted((run / "episodes").glob("*")) == before


def test_two_pushes_at_once_are_refused(interrupted: Path, tmp_path: Path):
    recorded(tmp_path / "monday")
    with store_lock(interrupted / "episodes", PUSH):
        match = r"run/episodes: process \d+ on .* is adding episodes to this folder; .* or choose another training's folder"
        refused(tmp_path / "monday", interrupted, StoreInUseError, match)


def test_what_cannot_be_trained_on_is_refused_and_nothing_is_added(interrupted: Path, tmp_path: Path):
    refused(tmp_path / "nowhere", interrupted, CheckpointError, "nowhere: no episodes there")
    recorded(tmp_path / "arm", "arm")
    refused(tmp_path / "arm", interrupted, CheckpointError, "holds episodes of another robot")
    good = recorded(tmp_path / "rest")
    file = tmp_path / "rest" / "000001.safetensors"
    content = bytearray((tmp_path / "rest" / "000000.safetensors").read_bytes())
    content[-40] ^= 255
    file.write_bytes(content)
    refused(tmp_path / "rest", interrupted, CheckpointError, r"000001.safetensors: damaged episode file.*nothing was added")
    file.unlink()
    wild = good.episodes[0]
    good.append([Episode(wild.obs, wild.action + 100, wild.reward, wild.tags)])
    refused(tmp_path / "rest", interrupted, CheckpointError, r"000001.*: action 'slide' is .* nothing was added")
    EpisodeStore.open(tmp_path / "empty", good.spec)
    refused(tmp_path / "empty", interrupted, CheckpointError, "empty: holds no episodes")


def test_a_training_that_alternates_takes_no_episodes(tmp_path: Path):
    recorded(tmp_path / "monday")
    refused(tmp_path / "monday", tmp_path / "run", ConfigError, "run: no training is there")
    first_round(TINY, tmp_path / "run")

    refused(tmp_path / "monday", tmp_path / "run", ConfigError, "collects all of its episodes itself; allowed: one started with")
