"""Training with every balancing: it learns, can be resumed to the bit, and does not disturb what it does not concern."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.checkpoint import WEIGHTS_FILE
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.errors import CheckpointError, ConfigError, DivergenceError
from adaptive_mbrl.meta.balancing import BalancingConfig
from adaptive_mbrl.meta.balancing.cvar import CVaRConfig
from adaptive_mbrl.meta.balancing.gradnorm import GradNormConfig
from adaptive_mbrl.meta.balancing.mgda import MGDAConfig
from adaptive_mbrl.meta.balancing.pcgrad import PCGradConfig
from adaptive_mbrl.meta.balancing.uncertainty import UncertaintyConfig
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from adaptive_mbrl.process import Process
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.rounds import load_trainer_state, save_trainer_state
from tests.core.analytic import POINT, point_episode, point_episodes
from tests.core.point_training import QUERY, WINDOW, point_dataset, point_trainer, some_windows, weights
from tests.core.together import precise, together

KINDS = {kind.TAG: kind for kind in typing.get_args(BalancingConfig)}
QUICK = ("pcgrad", "uncertainty")
"""What the quick tests train for long: one that changes gradients, and one that weighs losses."""


def trainer_with(kind: str, seed: int = 0, **settings: object) -> MetaTrainer:
    return point_trainer(seed, balancing=KINDS[kind](), **settings)


@pytest.mark.parametrize("kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS])
def test_training_lowers_the_loss(kind: str):
    data = EpisodeDataset(POINT, point_episodes(20, seed=0), point_episodes(6, seed=500), WINDOW, QUERY)
    trainer = trainer_with(kind)
    trainer.adapter.normalizer.fit(data.statistics())
    before = trainer.validate(data)["validation/adapted_loss"]

    trainer.fit(data, 50)

    assert trainer.validate(data)["validation/adapted_loss"] < 0.5 * before


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_training_goes_on_to_the_bit(tmp_path: Path, kind: str):
    data, straight, resumed = point_dataset(), trainer_with(kind), trainer_with(kind, seed=1)
    straight.fit(data, 4)
    save_trainer_state(straight, tmp_path)
    save_file(straight.adapter.state_dict(), tmp_path / WEIGHTS_FILE)
    straight.fit(data, 4)

    load_trainer_state(resumed, tmp_path)
    resumed.fit(data, 4)

    assert resumed.updates_done == straight.updates_done == 8
    assert all(torch.equal(tensor, weights(straight)[name]) for name, tensor in weights(resumed).items())
    for name, tensor in straight.balancing.state_dict().items():
        assert torch.equal(resumed.balancing.state_dict()[name], tensor), name


@pytest.mark.parametrize("kind", ["gradnorm", "uncertainty", "pcgrad"])
def test_the_state_of_a_balancing_moves_and_is_missed_where_it_is_not_saved(tmp_path: Path, kind: str):
    trainer = trainer_with(kind)
    fresh = {name: tensor.clone() for name, tensor in trainer.balancing.state_dict().items()}
    trainer.fit(point_dataset(), 3)
    assert all(not torch.equal(tensor, fresh[name]) for name, tensor in trainer.balancing.state_dict().items())

    save_trainer_state(point_trainer(), tmp_path)
    save_file(trainer.adapter.state_dict(), tmp_path / WEIGHTS_FILE)
    with pytest.raises(CheckpointError, match=r"trainer\.safetensors: tensor '.*' is missing"):
        load_trainer_state(trainer, tmp_path)


def test_the_mean_is_the_plain_outer_step_to_the_bit():
    """As if nothing were balanced: the gradient of the mean loss, clipped, and Adam."""
    trainer, plain = point_trainer(), point_trainer()
    for begin in range(0, 96, 32):
        windows = some_windows(torch.arange(begin, begin + 32))
        trainer.step(windows)

        plain.optimizer.zero_grad(set_to_none=True)
        plain.loss(windows).mean().backward()
        torch.nn.utils.clip_grad_norm_(plain.adapter.parameters(), plain.config.gradient_clip)
        plain.optimizer.step()

    assert all(torch.equal(tensor, weights(plain)[name]) for name, tensor in weights(trainer).items())


def test_the_windows_of_all_but_cvar_are_those_that_are_drawn_by_default():
    data = point_dataset()
    for kind in KINDS:
        trainer, seen = trainer_with(kind), []
        step = trainer.step
        trainer.step = lambda windows, share, step=step, seen=seen: (seen.append(windows), step(windows, share))[1]
        trainer.fit(data, 1)
        (windows,) = seen
        if kind == "cvar":
            by_task = windows.task.reshape(-1, CVaRConfig().windows_per_task)
            assert len(windows.task) == trainer.config.meta_batch_size
            assert (by_task == by_task[:, :1]).all()
        else:
            default = data.sample(trainer.config.meta_batch_size, torch.Generator().manual_seed(0))
            assert torch.equal(windows.obs, default.obs)


def test_the_worst_situation_is_better_after_training_on_the_worst():
    """Nine situations are alike and one is not: a model that does not adapt neglects it where the mean is minimised."""
    episodes = [dataclasses.replace(point_episode([-1.0 if i == 9 else 1.0] * 40, i), tags={"situation": i}) for i in range(10)]
    data = EpisodeDataset(POINT, episodes, [], WINDOW, QUERY)
    worst = {}
    for kind in ("mean", "cvar"):
        trainer = trainer_with(kind, rules=(NoneConfig(),), meta_batch_size=160)
        trainer.fit(data, 150)
        with torch.no_grad():
            windows = data.sample(600, torch.Generator().manual_seed(9))
            worst[kind] = trainer.loss(windows)[windows.task == 9].mean().item()

    assert worst["cvar"] < 0.6 * worst["mean"]


@pytest.mark.parametrize("config", [PCGradConfig(), MGDAConfig(), GradNormConfig(), UncertaintyConfig(), CVaRConfig()])
def test_a_window_that_is_not_finite_stops_the_training_and_changes_nothing(config):
    trainer = point_trainer(balancing=config)
    trainer.fit(point_dataset(), 2)
    before, own = weights(trainer), {name: value.clone() for name, value in trainer.balancing.state_dict().items()}
    broken = some_windows(torch.arange(32))
    broken.obs[1, 2, 0] = torch.nan

    with pytest.raises(DivergenceError, match="not finite at update 2"):
        trainer.step(broken)

    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(trainer).items())
    assert all(torch.equal(value, own[name]) for name, value in trainer.balancing.state_dict().items())


def test_a_group_that_is_first_seen_in_a_step_that_diverges_is_not_known_afterwards():
    """GradNorm keeps each group's first loss, and the one of a step that is not taken is none."""
    trainer = point_trainer(balancing=GradNormConfig(groups=2))
    broken = some_windows(torch.arange(32))
    broken = broken._replace(task=torch.arange(32) % 2)
    broken.obs[1, 2, 0] = torch.nan

    with pytest.raises(DivergenceError):
        trainer.step(broken)

    assert trainer.balancing.state_dict()["initial"].isinf().all()


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_out_does_not_depend_on_the_number_of_processes(kind: str):
    """In double precision, so that what is left to see of rounding is far below what another order of windows would change."""

    def fit(process: Process) -> tuple[dict[str, Tensor], dict[str, Tensor], float]:
        trainer = trainer_with(kind, process=process, meta_batch_size=40)
        trainer.adapter.double()
        trainer.balancing.double()
        scalars = trainer.fit(PrecisePoints(), 5)
        return weights(trainer), trainer.balancing.state_dict(), scalars["train/query_loss"]

    alone, state, loss = fit(Process())
    for number in (2, 4):
        results = together(number, fit)
        for found, found_state, found_loss in results:
            torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-8)
            torch.testing.assert_close(found_state, state, rtol=1e-5, atol=1e-8)
            assert found_loss == pytest.approx(loss, rel=1e-5)
            assert all(torch.equal(tensor, results[0][0][name]) for name, tensor in found.items())


class PrecisePoints:
    """The point mass's dataset, or another one of it, in double precision."""

    def __init__(self, data: EpisodeDataset | None = None) -> None:
        self._data = point_dataset() if data is None else data

    def __len__(self) -> int:
        return len(self._data)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._data, name)
        return (lambda *args: precise(found(*args))) if name.startswith("sample") else found


@pytest.mark.parametrize("config", [GradNormConfig(), UncertaintyConfig()])
def test_ratios_of_losses_that_may_be_negative_are_refused(config):
    settings = {"scenarios": "cartpole/mass_gain:train", "model": ModelConfig(learned_variance=True)}
    with pytest.raises(ConfigError, match=r"key 'outer\.balancing': .* may be negative"):
        TrainConfig(**settings, outer=OuterConfig(balancing=config))

    assert TrainConfig(**settings, outer=OuterConfig(balancing=MGDAConfig())).model.learned_variance
