"""The outer step: what it trains, how fast, and what it does when a gradient is not finite."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.data.windows import ALL, Windows
from adaptive_mbrl.errors import AdaptiveMBRLError, CheckpointError, ConfigError, DivergenceError
from adaptive_mbrl.meta.observer import FitObserver
from adaptive_mbrl.meta.trainer import OuterConfig
from adaptive_mbrl.training.unfinished_fit import FIT_FILE, UnfinishedFit, load_fit, save_fit
from tests.core.point_training import point_dataset, point_trainer, some_windows, weights


def test_the_learning_rate_falls_along_a_cosine_and_starts_anew_with_every_fit():
    one, rates = point_trainer(learning_rate=0.01, final_learning_rate_fraction=0.1), []
    step = one.optimizer.step
    one.optimizer.step = lambda *args: (rates.append(one.optimizer.param_groups[0]["lr"]), step(*args))[1]

    one.fit(point_dataset(), 10)
    one.fit(point_dataset(), 1)

    assert rates[0] == pytest.approx(0.01)
    assert rates[5] == pytest.approx(0.001 + 0.009 * 0.5)
    assert all(later < earlier for earlier, later in itertools.pairwise(rates[:10]))
    assert rates[9] < 0.0015
    assert rates[10] == pytest.approx(0.01)


def test_every_parameter_that_may_be_learned_is_learned_once():
    for parameters in ("modulation", "all"):
        one = point_trainer(rules=(GradientConfig(parameters=parameters, learning_rate=0.1, second_order=True),))
        in_groups = [id(p) for group in one.optimizer.param_groups for p in group["params"]]

        assert sorted(in_groups) == sorted(id(p) for p in one.adapter.parameters())

        before = weights(one)
        one.fit(point_dataset(), 2)
        assert all(not torch.equal(before[n], p) for n, p in one.adapter.named_parameters())


def test_fixed_step_sizes_stay():
    one = point_trainer(rules=(GradientConfig(step_sizes="fixed", learning_rate=0.1, second_order=True),))
    before = weights(one)

    one.fit(point_dataset(), 2)

    step_sizes = [name for name in before if ".log_step_sizes." in name]
    assert step_sizes
    for name in step_sizes:
        assert torch.equal(weights(one)[name], before[name])


def test_weight_decay_shrinks_weights_and_nothing_else():
    one = point_trainer(weight_decay=0.1)

    decayed = {id(p) for group in one.optimizer.param_groups if group["weight_decay"] > 0 for p in group["params"]}

    assert decayed == {id(p) for n, p in one.adapter.model.net.named_parameters() if n.startswith("weight_")}


def test_a_large_gradient_is_clipped():
    """Adam hides the gradient's size, so look at it where the optimiser takes it."""
    one, norms = point_trainer(gradient_clip=1e-3), []
    step = one.optimizer.step

    def noting(*args: object) -> object:
        gradients = [p.grad for p in one.adapter.parameters() if p.grad is not None]
        norms.append(torch.stack([g.norm() for g in gradients]).norm().item())
        return step(*args)

    one.optimizer.step = noting
    one.fit(point_dataset(), 3)

    assert norms == pytest.approx([1e-3] * 3, rel=1e-3)


class Heard(FitObserver):
    """Keeps what a fit told."""

    def __init__(self) -> None:
        self.reports: list[tuple[int, set[str]]] = []
        self.losses = torch.empty(0)
        self.errors: list[DivergenceError] = []

    def report(self, updates: int, scalars: Mapping[str, float]) -> None:
        self.reports.append((updates, set(scalars)))

    def updated(self, losses: Tensor) -> None:
        self.losses = losses.clone()

    def skipped(self, error: DivergenceError) -> None:
        self.errors.append(error)


class Broken:
    """The point mass's dataset, with a number that is not finite in some of the meta-batches, which are counted from 0."""

    def __init__(self, *broken: int) -> None:
        self._data, self._broken, self._drawn = point_dataset(), broken, 0

    def __len__(self) -> int:
        return len(self._data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._data, name)

    def sample(self, num: int, generator: torch.Generator, part: slice = ALL) -> Windows:
        windows = self._data.sample(num, generator, part)
        if self._drawn in self._broken:
            windows.obs[0, 1] = torch.nan
        self._drawn += 1
        return windows


def test_a_step_that_is_not_finite_is_left_out_and_the_fit_goes_on():
    heard = Heard()
    one = point_trainer(max_skipped_steps=2, meta_batch_size=8)

    scalars = one.fit(Broken(3, 8), 12, heard)

    assert heard.losses.isnan().nonzero().flatten().tolist() == [3, 8]
    assert [int(e.windows.obs.isnan().sum() > 0) for e in heard.errors] == [1, 1]
    assert one.updates_done == 10
    assert scalars["train/skipped_steps"] == 2
    assert math.isfinite(scalars["train/query_loss"])
    assert all(tensor.isfinite().all() for tensor in weights(one).values())


def test_no_more_steps_are_skipped_than_the_configuration_allows():
    heard = Heard()
    with pytest.raises(DivergenceError, match="not finite at update 7"):
        point_trainer(max_skipped_steps=1, meta_batch_size=8).fit(Broken(3, 8), 12, heard)

    assert len(heard.errors) == 1


def test_a_fit_goes_on_to_the_bit_where_it_was_interrupted(tmp_path: Path):
    straight, halted, other = (point_trainer(seed, meta_batch_size=8) for seed in (0, 0, 9))

    class Interrupting(FitObserver):
        def updated(self, losses: Tensor) -> None:
            if len(losses) == 5:
                save_fit(tmp_path, UnfinishedFit(2, 1, 7.5, losses), halted)
                raise KeyboardInterrupt

    expected = straight.fit(Broken(3, 8), 12)
    with pytest.raises(KeyboardInterrupt):
        halted.fit(Broken(3), 12, Interrupting())

    assert load_fit(tmp_path, 1, 1, other) is None
    unfinished = load_fit(tmp_path, 2, 1, other)
    assert unfinished is not None
    assert (unfinished.batches, unfinished.seconds, len(unfinished.losses)) == (1, 7.5, 5)
    # five meta-batches of the data have been drawn
    assert other.fit(Broken(3), 12, before=unfinished.losses) == expected

    assert other.updates_done == straight.updates_done
    assert all(torch.equal(tensor, weights(straight)[name]) for name, tensor in weights(other).items())


def test_a_damaged_file_of_a_fit_is_named(tmp_path: Path):
    (tmp_path / FIT_FILE).write_bytes(b"torn")
    with pytest.raises(CheckpointError, match=r"fit\.safetensors: damaged.*delete it, and the round begins anew"):
        load_fit(tmp_path, 0, 1, point_trainer())


def test_a_fit_does_not_go_on_with_other_episodes(tmp_path: Path):
    trainer = point_trainer()
    save_fit(tmp_path, UnfinishedFit(2, 3, 7.5, torch.zeros(5)), trainer)

    with pytest.raises(CheckpointError, match=r"fit\.safetensors: this fit is about 3 batches of episodes, but now there are 4;"):
        load_fit(tmp_path, 2, 4, trainer)


@pytest.mark.parametrize("updates", [7, 60])
def test_a_training_that_diverges_says_so(updates: int):
    """Also a short one, and at its end: a checkpoint of NaN must not come out of it."""
    one = point_trainer(learning_rate=1e30, gradient_clip=0.0)

    with pytest.raises(AdaptiveMBRLError, match="diverged") as caught:
        one.fit(point_dataset(), updates)
    assert "\n" not in str(caught.value)


def test_a_step_that_diverges_changes_nothing_and_hands_out_its_windows():
    one = point_trainer()
    one.fit(point_dataset(), 2)
    before, taken = weights(one), one.optimizer.state_dict()["state"]
    moments = [value.clone() for state in taken.values() for value in state.values()]
    broken = some_windows(torch.arange(4))
    broken.obs[1, 2, 0] = torch.nan

    with pytest.raises(DivergenceError, match="not finite at update 2") as caught:
        one.step(broken)

    assert caught.value.windows is broken
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(one).items())
    after = [value for state in one.optimizer.state_dict()["state"].values() for value in state.values()]
    assert all(torch.equal(a, b) for a, b in zip(after, moments, strict=True))
    assert one.updates_done == 2


def test_statistics_are_kept_where_the_normalizer_is_not_to_be_fitted():
    one = point_trainer()
    before = weights(one)

    one.fit(point_dataset(), 1, fit_normalizer=False)
    kept = weights(one)
    one.fit(point_dataset(), 1)

    for name in (name for name in before if ".normalizer." in name):
        assert torch.equal(kept[name], before[name])
        assert not torch.equal(weights(one)[name], before[name])


def test_reports_come_every_fifty_updates_and_once_per_epoch():
    heard = Heard()
    reports = heard.reports

    scalars = point_trainer(meta_batch_size=100).fit(point_dataset(), 60, heard)

    # 8 episodes of 40 steps have 304 windows: an epoch is 3 updates
    losses = [done for done, names in reports if names == {"train/query_loss"}]
    conflicts = [done for done, names in reports if "gradient/cosine" in names]
    assert losses == [50, 60]
    assert conflicts == list(range(3, 61, 3))
    assert set(scalars) == {"train/query_loss"}


def test_out_of_range_settings_are_refused_when_they_are_read():
    for key, value in {"query": 0, "meta_batch_size": 0, "learning_rate": -1, "final_learning_rate_fraction": 1.5}.items():
        with pytest.raises(ConfigError, match=f"outer.yaml: key '{key}'.*out of range"):
            from_mapping(OuterConfig, {key: value}, source="outer.yaml")
