"""A dump is one file that says what it is about; a training step that diverged can be run again from it."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from adaptive_mbrl.adaptation.belief import tensors_of
from adaptive_mbrl.checkpoint import FORMAT_VERSION, Description
from adaptive_mbrl.data.windows import Windows, WindowSampler
from adaptive_mbrl.dump import non_finite, read_dump, write_dump
from adaptive_mbrl.errors import ConfigError, DivergenceError
from adaptive_mbrl.meta.balancing import BalancingConfig
from adaptive_mbrl.meta.dump import replay_training_step, write_training_step
from adaptive_mbrl.meta.trainer import MetaTrainer
from tests.core.analytic import POINT, POINT_MODEL, POINT_OUTER, POINT_WINDOW, point_episodes
from tests.core.driving import PLANNER, REACH
from tests.core.rules import RULES, point_adapter


def description_of(name: str) -> Description:
    terms, goals = REACH.terms, REACH.goal_names
    return Description(FORMAT_VERSION, POINT, terms, goals, POINT_MODEL, RULES[name], PLANNER, POINT_WINDOW)


# --- training steps -----------------------------------------------------------------------------------------------------------


def windows_with_nan(rows: list[int]) -> Windows:
    sampler = WindowSampler(point_episodes(4, seed=0), POINT_WINDOW, POINT_OUTER.query)
    windows = sampler.sample(16, torch.Generator().manual_seed(0))
    windows.obs[rows, 2, 1] = torch.nan
    return windows


@pytest.mark.parametrize("name", ["none", "gradient", "gradient_then_bayes_linear"])
def test_a_training_step_that_diverges_is_written_and_replayed(tmp_path: Path, name: str):
    trainer = MetaTrainer(point_adapter(name), POINT_OUTER)
    trainer.step(windows_with_nan([]))
    before = {key: tensor.clone() for key, tensor in trainer.adapter.state_dict().items()}
    windows = windows_with_nan([3, 7])

    with pytest.raises(DivergenceError, match="not finite at update 1") as caught:
        trainer.step(windows)
    path = write_training_step(tmp_path, str(caught.value), description_of(name), trainer, caught.value.windows)

    assert list(tmp_path.iterdir()) == [path]
    dump = read_dump(path)
    assert (dump.kind, dump.reason, dump.about["updates"]) == ("training_step", str(caught.value), 1)
    assert dump.about["revision"]
    assert all(torch.equal(tensor, before[key]) for key, tensor in dump.part("adapter").items())
    for stored, given in zip(dump.sequence("windows"), tensors_of(windows), strict=True):
        torch.testing.assert_close(stored, given, rtol=0, atol=0, equal_nan=True)
    replayed = replay_training_step(dump)
    assert (replayed.windows, replayed.failed_windows) == (16, 2)
    assert np.isnan(replayed.loss)
    assert replayed.failed_gradients


def test_the_loss_of_a_finite_step_is_replayed_exactly(tmp_path: Path):
    trainer, windows = (
        MetaTrainer(point_adapter("gradient"), POINT_OUTER),
        windows_with_nan([]),
    )
    path = write_training_step(tmp_path, "a test", description_of("gradient"), trainer, windows)

    replayed = replay_training_step(read_dump(path))
    assert replayed.loss == trainer.loss(windows).mean().item()
    assert replayed.failed_gradients == ()


@pytest.mark.parametrize("kind", typing.get_args(BalancingConfig), ids=lambda kind: kind.TAG)
def test_the_gradient_that_is_replayed_is_that_of_the_balancing_in_its_state(tmp_path: Path, kind: type):
    """After some steps, in which PCGrad, GradNorm and the noise levels move."""
    outer = dataclasses.replace(POINT_OUTER, balancing=kind(), gradient_clip=0.0)
    trainer, windows = MetaTrainer(point_adapter("gradient"), outer), windows_with_nan([])
    for _ in range(3):
        trainer.step(windows)
    path = write_training_step(tmp_path, "a test", description_of("gradient"), trainer, windows)

    replayed = replay_training_step(read_dump(path))

    # without clipping the step leaves the gradient that it was taken with
    trainer.step(windows)
    taken = torch.nn.utils.get_total_norm([p.grad for p in trainer.adapter.parameters() if p.grad is not None])
    assert replayed.gradient_norm == pytest.approx(taken.item(), rel=1e-6)


# --- files --------------------------------------------------------------------------------------------------------------------


def test_dumps_of_the_same_second_have_names_of_their_own(tmp_path: Path):
    paths = {write_dump(tmp_path, "control_step", "a test", {}, {"x": torch.ones(1)}) for _ in range(3)}

    assert len(paths) == 3
    assert {read_dump(path).reason for path in paths} == {"a test"}


def test_tensors_that_share_memory_can_be_written(tmp_path: Path):
    x = torch.arange(4.0)

    path = write_dump(tmp_path, "control_step", "a test", {"n": 1}, {"whole": x, "part": x[:2], "same": x})

    dump = read_dump(path)
    torch.testing.assert_close(dump.tensors, {"whole": x, "part": x[:2], "same": x})
    assert dump.about["n"] == 1


def no_file(path: Path) -> None:
    pass


def text(path: Path) -> None:
    path.write_text("hello")


def nothing(path: Path) -> None:
    path.write_bytes(b"")


def weights(path: Path) -> None:
    save_file({"x": torch.ones(1)}, path)


def other_metadata(path: Path) -> None:
    save_file({"x": torch.ones(1)}, path, metadata={"dump": '{"format": "something else 3"}'})


def broken_metadata(path: Path) -> None:
    save_file({"x": torch.ones(1)}, path, metadata={"dump": "{not json"})


def metadata_of_another_kind(path: Path) -> None:
    save_file({"x": torch.ones(1)}, path, metadata={"dump": "[1, 2]"})


def incomplete_metadata(path: Path) -> None:
    save_file({"x": torch.ones(1)}, path, metadata={"dump": '{"format": "adaptive-mbrl dump 2"}'})


def older_format(path: Path) -> None:
    content = '{"format": "adaptive-mbrl dump 1", "kind": "training_step", "reason": "", "about": {}, "revision": "0123abc"}'
    save_file({"windows.0": torch.ones(1)}, path, metadata={"dump": content})


def cut(path: Path) -> None:
    whole = write_dump(path.parent, "control_step", "a test", {}, {"x": torch.ones(100)})
    path.write_bytes(whole.read_bytes()[:-50])


def folder(path: Path) -> None:
    path.mkdir()


NO_DUMPS = [
    no_file,
    text,
    nothing,
    weights,
    other_metadata,
    broken_metadata,
    metadata_of_another_kind,
    incomplete_metadata,
    older_format,
    cut,
    folder,
]


@pytest.mark.parametrize("make", NO_DUMPS, ids=lambda make: make.__name__)
def test_what_is_no_dump_is_refused_in_one_line(tmp_path: Path, make):
    path = tmp_path / "x.safetensors"
    make(path)

    with pytest.raises(ConfigError) as caught:
        read_dump(path)

    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_a_dump_of_an_older_format_it_is_said_which_code_replays_it(tmp_path: Path):
    older_format(path := tmp_path / "x.safetensors")

    with pytest.raises(ConfigError, match=r"format 'adaptive-mbrl dump 1'.* of revision 0123abc$"):
        read_dump(path)


def test_what_is_not_finite_is_counted_and_named():
    values = {
        "next_obs": torch.tensor([1.0, torch.nan, torch.inf]),
        "action": torch.ones(2),
        "valid": torch.ones(2, dtype=torch.bool),
    }

    assert non_finite(values) == ["next obs: 2 of 3"]
