"""A first checkpoint from recorded episodes alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import yaml

from adaptive_mbrl import cli
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore, shard_files
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.meta.trainer import OuterConfig
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.data_config import DataConfig
from adaptive_mbrl.training.given_episodes import given_episodes
from adaptive_mbrl.training.rounds import RoundRecord
from sim.robot.loading import load_task
from sim.robot.robot import load_robot
from sim.simulation.batch import BatchSimulation
from sim.training.train import open_training, train

SPEC = load_robot("cartpole").spec


def recorded(folder: Path, lengths: tuple[int, ...] = (20, 20), marked: int | None = None) -> Path:
    """A store of episodes of random numbers, one batch; the one with the index `marked` is tagged for validation."""
    rng = np.random.default_rng(0)
    episodes = [
        Episode(
            rng.normal(size=(length + 1, SPEC.obs_dim)).astype(np.float32),
            rng.uniform(-1, 1, size=(length, SPEC.action_dim)).astype(np.float32),
            np.zeros(length, np.float32),
            {"source": "bag"} | ({"validation": True} if i == marked else {}),
        )
        for i, length in enumerate(lengths)
    ]
    EpisodeStore.open(folder, SPEC).append(episodes)
    return folder


def config_for(folder: Path, **data: object) -> TrainConfig:
    return TrainConfig(
        "cartpole/mass_gain:train",
        model=ModelConfig(hidden=(8,), members=2, context_dim=2),
        window=4,
        outer=OuterConfig(query=2, meta_batch_size=8, validation_windows=8),
        data=DataConfig(**{"iterations": 0, "episodes_from": folder, **data}),
        updates_initial=3,
        updates_final=2,
    )


def test_what_collect_recorded_trains_a_first_checkpoint_without_a_simulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    store = tmp_path / "recorded"
    collect = ["collect", "--robot", "cartpole", "--episodes", "3", "--steps", "30", "--out", str(store)]
    assert cli.main(collect) == 0
    small = {"model": {"hidden": [8], "members": 2}, "window": 4, "updates_initial": 3, "updates_final": 2}
    data = {"episodes_from": str(store), "iterations": 0}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump({"scenarios": "cartpole/mass_gain:train", "data": data, **small}))
    before = {p.name: p.read_bytes() for p in store.iterdir()}

    def simulate(*_: object) -> None:
        raise AssertionError("a step was simulated")

    monkeypatch.setattr(BatchSimulation, "step", simulate)
    train_on_it = [
        "train",
        "--config",
        str(tmp_path / "train.yaml"),
        "--run",
        str(tmp_path / "run"),
        "--device",
        "cpu",
        "--no-report",
    ]
    assert cli.main(train_on_it) == 0

    assert load_checkpoint(tmp_path / "run" / "checkpoint").description.spec == SPEC
    assert {p.name: p.read_bytes() for p in store.iterdir()} == before
    record = load_yaml(tmp_path / "run" / "rounds" / "001" / "round.yaml", RoundRecord)
    assert (record.env_steps, record.branch_steps, record.oracle_steps) == (90, 0, 0)
    assert "validation/adapted_loss" in record.scalars


def test_the_last_part_of_each_recorded_episode_is_held_out(tmp_path: Path):
    store = given_episodes(config_for(recorded(tmp_path), validation_fraction=0.25), SPEC)

    assert store is not None
    original = EpisodeStore.open(tmp_path).episodes
    training, held_out = ([e for e in store.episodes if bool(e.tags.get("validation")) is held] for held in (False, True))
    assert [len(e) for e in training] == [15, 15]
    assert [len(e) - e.history for e in held_out] == [5, 5]
    assert store.num_steps == 40
    for whole, first, last in zip(original, training, held_out, strict=True):
        np.testing.assert_array_equal(first.obs, whole.obs[:16])
        np.testing.assert_array_equal(last.obs[last.history :], whole.obs[15:])


@pytest.mark.parametrize(("marked", "fraction"), [(1, 0.25), (None, 0.0)])
def test_marked_episodes_and_a_fraction_of_zero_leave_the_episodes_whole(tmp_path: Path, marked: int | None, fraction: float):
    store = given_episodes(config_for(recorded(tmp_path, marked=marked), validation_fraction=fraction), SPEC)

    assert store is not None
    assert [bool(e.tags.get("validation")) for e in store.episodes] == [False, marked == 1]
    assert [len(e) for e in store.episodes] == [20, 20]


def test_a_run_keeps_its_own_division(tmp_path: Path):
    """Also where it holds nothing out: a comparison is made on the same data."""
    (tmp_path / "checkpoint").mkdir()
    recorded(tmp_path / "episodes")

    store = given_episodes(config_for(tmp_path), SPEC)

    assert store is not None
    assert [len(e) for e in store.episodes] == [20, 20]
    assert not any(e.tags.get("validation") for e in store.episodes)


def test_a_folder_without_episodes_and_an_unfinished_run_are_refused(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    recorded(tmp_path / "unfinished" / "episodes")

    for name in ("empty", "nowhere"):
        with pytest.raises(ConfigError) as caught:
            given_episodes(config_for(tmp_path / name), SPEC)
        assert str(caught.value) == (
            f"key 'data.episodes_from': {tmp_path / name} holds no episodes; allowed: the folder of a complete run "
            "(train it first), or one that collect, import-bag or data import wrote"
        )
    with pytest.raises(ConfigError, match=r"unfinished is not a complete run \(it has no checkpoint/\); train it first"):
        given_episodes(config_for(tmp_path / "unfinished"), SPEC)


def test_another_robots_episodes_and_short_ones_are_refused_and_begin_no_run(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"another robot: name is cartpole; the robot here has half_cheetah"):
        given_episodes(config_for(recorded(tmp_path / "a")), load_robot("half_cheetah").spec)

    short = recorded(tmp_path / "b", lengths=(3, 2))
    with pytest.raises(ConfigError, match=r"3 steps; needed: 4; or choose data\.validation_fraction: 0"):
        train(config_for(short), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_the_files_that_it_began_with(tmp_path: Path):
    """Although others have come; a lab imports every night."""
    config = config_for(recorded(tmp_path / "recorded"))
    train(config, tmp_path / "uninterrupted")
    with open_training(config, tmp_path / "run", "cpu") as training:
        training.run_round(0)
    recorded(tmp_path / "recorded")

    train(config, tmp_path / "run")

    weights = [(tmp_path / run / "checkpoint" / "weights.safetensors").read_bytes() for run in ("run", "uninterrupted")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("how", ["lost", "other"])
def test_a_run_does_not_go_on_without_the_files_that_it_began_with(how: str, tmp_path: Path):
    config = config_for(recorded(tmp_path / "recorded"))
    with open_training(config, tmp_path / "run", "cpu") as training:
        training.run_round(0)
    (file,) = shard_files(tmp_path / "recorded")
    file.unlink()
    if how == "other":
        recorded(tmp_path / "recorded", lengths=(20, 21))

    with pytest.raises(ConfigError, match=r"episodes.txt: this run began with .*000000.safetensors, which is not there any more"):
        train(config, tmp_path / "run")


def test_an_interrupted_run_on_recorded_episodes_goes_on(tmp_path: Path):
    config = config_for(recorded(tmp_path / "recorded"))
    with open_training(config, tmp_path / "run", "cpu") as training:
        training.run_round(0)

    train(config, tmp_path / "run")
    train(dataclasses.replace(config), tmp_path / "other")

    ends = [(tmp_path / run / "checkpoint" / "weights.safetensors").read_bytes() for run in ("run", "other")]
    assert ends[0] == ends[1]


def test_episodes_without_rewards_begin_no_run_that_learns_the_reward(tmp_path: Path):
    (tmp_path / "pendulum.yaml").write_text("environment: gymnasium:Pendulum-v1\n", encoding="utf-8")
    (tmp_path / "split.yaml").write_text("robot: pendulum.yaml\nsteps: 20\ntrain: {initial: [{}]}\n", encoding="utf-8")
    store = EpisodeStore.open(tmp_path / "recorded", load_task(tmp_path / "pendulum.yaml").spec)
    rng = np.random.default_rng(0)
    unpaid = [
        Episode(
            rng.normal(size=(21, 3)).astype(np.float32), rng.uniform(-1, 1, (20, 1)).astype(np.float32), np.zeros(20, np.float32)
        )
        for _ in range(3)
    ]
    store.append(unpaid)
    config = dataclasses.replace(config_for(tmp_path / "recorded"), scenarios=f"{tmp_path / 'split.yaml'}:train")

    with pytest.raises(ConfigError, match="key 'learned_reward': all rewards of the episodes are 0"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
