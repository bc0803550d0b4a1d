"""Fine-tuning goes on from a checkpoint, on other data, in the checkpoint's own units."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from adaptive_mbrl import cli
from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.checkpoint import FORMAT_VERSION, Checkpoint, Description, load_checkpoint, save_checkpoint
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.fine_tune import fine_tuned, split
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.objective import Term
from adaptive_mbrl.planning import ICEMConfig
from tests.core.analytic import POINT, POINT_MODEL, POINT_OUTER, POINT_RULES, POINT_WINDOW, point_episodes

GENTLE = dataclasses.replace(POINT_OUTER, learning_rate=3e-4)


@pytest.fixture(scope="module")
def checkpoint(trained: MetaTrainer) -> Checkpoint:
    terms = (Term("quadratic", channels=(POINT.obs_names[0],)),)
    description = Description(
        format_version=FORMAT_VERSION,
        spec=POINT,
        terms=terms,
        goal_names=(),
        window=POINT_WINDOW,
        model=POINT_MODEL,
        adaptation=POINT_RULES,
        planner=ICEMConfig(),
        provenance={"scenarios": "points", "updates": 7},
    )
    assert isinstance(trained.adapter, NetworkAdapter)
    return Checkpoint(description, trained.adapter)


def weights(of: Checkpoint) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in of.adapter.state_dict().items()}


def test_it_begins_with_the_checkpoint_and_keeps_its_normalizer(checkpoint: Checkpoint):
    before = weights(checkpoint)
    large = [dataclasses.replace(e, obs=3 * e.obs) for e in point_episodes(4, 5)]

    tuned, errors, _ = fine_tuned(checkpoint, large, point_episodes(2, 6), GENTLE, 3)

    after = weights(tuned)
    shift = {n: float((after[n] - before[n]).abs().max()) for n in before}
    assert all(shift[n] == 0 for n in shift if "normalizer" in n)
    moved = {n: s for n, s in shift.items() if "weight_" in n}
    assert all(0 < s < 0.01 for s in moved.values())  # three small steps away, not another network
    assert all(torch.equal(t, before[n]) for n, t in weights(checkpoint).items())
    assert errors["validation/adapted_error_1_steps"] < errors["validation/prior_error_1_steps"]


def test_the_last_part_of_each_episode_is_held_out_and_only_led_up_to():
    one = dataclasses.replace(point_episodes(1, 0)[0], ended=True, batch=2, stamps=5.0 + np.arange(41))
    short = Episode(*(x[:9] for x in (point_episodes(1, 1)[0].obs,)), np.zeros((8, 1)), np.zeros(8))
    steps = len(one)

    training, held_out = split([one, short], window=4, query=5, fraction=0.25)

    last = round(0.25 * steps)
    assert [len(e) for e in training] == [steps - last, 8]  # the short one is too short to be divided
    assert [len(e) for e in held_out] == [last + 4]
    assert [e.history for e in held_out] == [4]
    assert [(e.ended, e.batch) for e in (training[0], held_out[0])] == [(False, 2), (True, 2)]
    np.testing.assert_array_equal(training[0].obs, one.obs[: steps - last + 1])
    np.testing.assert_array_equal(held_out[0].obs, one.obs[steps - last - 4 :])
    np.testing.assert_array_equal(held_out[0].action, one.action[steps - last - 4 :])
    np.testing.assert_array_equal(training[0].stamps, 5.0 + np.arange(steps - last + 1))
    np.testing.assert_array_equal(held_out[0].stamps, 5.0 + np.arange(steps - last - 4, steps + 1))


def test_episodes_that_are_marked_are_held_out_as_a_whole():
    some = point_episodes(3, 0)
    some[1] = dataclasses.replace(some[1], tags={"validation": True})

    training, held_out = split(some, window=4, query=5, fraction=0.25)

    assert training == [some[0], some[2]]
    assert held_out == [some[1]]


def test_too_little_data_is_refused():
    with pytest.raises(ConfigError, match=r"no episode is long enough to hold out a part: 8 steps; needed: 10"):
        split([Episode(np.zeros((9, 2)), np.zeros((8, 1)), np.zeros(8))], window=4, query=5, fraction=0.25)
    with pytest.raises(ConfigError, match=r"0 steps; needed: 10"):
        split([], window=4, query=5, fraction=0.25)


# --- the command --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path, checkpoint: Checkpoint) -> tuple[Path, Path]:
    save_checkpoint(tmp_path / "checkpoint", checkpoint)
    EpisodeStore.open(tmp_path / "episodes", POINT).append(point_episodes(3, 2))
    return tmp_path / "checkpoint", tmp_path / "episodes"


def test_the_command_writes_a_checkpoint_that_says_where_it_comes_from(
    tmp_path: Path, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
):
    checkpoint, episodes = folders
    arguments = ["fine-tune", str(checkpoint), "--episodes", str(episodes), "--out", str(tmp_path / "tuned"), "--updates", "2"]

    assert cli.main([*arguments, "--query", "4"]) == 0

    printed = capsys.readouterr().out
    tuned, base = load_checkpoint(tmp_path / "tuned"), load_checkpoint(checkpoint)
    provenance = tuned.description.provenance
    assert dataclasses.replace(tuned.description, provenance=base.description.provenance) == base.description
    assert provenance["fine_tuned_from"] == str(checkpoint)
    assert provenance["episodes"] == str(episodes)
    assert provenance["before"] == {"scenarios": "points", "updates": 7}
    assert (provenance["updates"], provenance["env_steps"]) == (2, 3 * (len(point_episodes(1, 0)[0]) * 4 // 5))
    for when in ("before", "after"):
        assert f"{provenance[f'held_out_{when}']['validation/adapted_error_4_steps']:.3f} {when}" in printed
    assert cli.main([*arguments, "--query", "4"]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'tuned'}: exists already; a checkpoint is never overwritten\n"


def test_mistakes_are_one_line_and_leave_nothing(tmp_path: Path, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    checkpoint, episodes = folders
    out = ["--out", str(tmp_path / "tuned")]
    EpisodeStore.open(tmp_path / "others", dataclasses.replace(POINT, dt=0.5))

    for arguments, expected in (
        (["--episodes", str(tmp_path / "none")], f"{tmp_path / 'none'}: no episodes there (no spec.yaml)"),
        (["--episodes", str(tmp_path / "others")], f"{tmp_path / 'others'}: holds episodes of another robot: "),
        (["--episodes", str(episodes), "--query", "90"], f"{episodes}: no episode is long enough to hold out a part"),
        (["--episodes", str(episodes), "--held-out", "1.0"], "--held-out: 1.0 is out of range; allowed: above 0 and below 1"),
        (["--episodes", str(episodes), "--learning-rate", "0"], "--learning-rate: 0.0 is out of range; allowed: above 0"),
    ):
        assert cli.main(["fine-tune", str(checkpoint), *arguments, *out]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: {expected}")
        assert error.count("\n") == 1
    assert not (tmp_path / "tuned").exists()
