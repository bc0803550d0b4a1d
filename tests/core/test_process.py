"""Training in several processes: they begin with the same weights, and step along their average gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.adaptation.belief import map_belief
from adaptive_mbrl.data.windows import Windows, concatenate
from adaptive_mbrl.errors import DivergenceError
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.process import Process
from tests.core.halves import Half, in_two
from tests.core.point_training import point_dataset, point_trainer, some_windows, weights


def precise(windows: Windows) -> Windows:
    return map_belief(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor, windows)


def steps_of_halves() -> list[tuple[Windows, Windows]]:
    """Three outer steps: the windows of each process."""
    begins = range(0, 96, 32)
    return [tuple(precise(some_windows(torch.arange(b + 16 * half, b + 16 * half + 16))) for half in range(2)) for b in begins]


def test_two_processes_take_the_steps_of_one_that_has_the_windows_of_both():
    """Clipping included, which acts on the average and not on each part of it."""
    settings = {"gradient_clip": 0.05}

    def train(process: Half) -> tuple[list[float], dict[str, Tensor]]:
        half = point_trainer(process=process, **settings)
        half.adapter.double()
        losses = [half.step(windows[process.rank]).item() for windows in steps_of_halves()]
        return losses, weights(half)

    (losses, first), (other_losses, second) = in_two(train)

    alone = point_trainer(**settings)
    alone.adapter.double()
    whole = [alone.step(concatenate(windows)).item() for windows in steps_of_halves()]
    for name, tensor in weights(alone).items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], tensor, rtol=1e-9, atol=1e-9)
    assert losses != other_losses
    assert whole == pytest.approx([(a + b) / 2 for a, b in zip(losses, other_losses, strict=True)])


def test_all_begin_with_the_main_process_weights_and_draw_windows_of_their_own():
    def make(process: Half) -> tuple[MetaTrainer, list[Tensor]]:
        trainer = point_trainer(seed=5 * process.rank, process=process)
        return trainer, [*point_dataset().sample(8, trainer.generator).obs]

    (main, drawn), (other, drawn_by_other) = in_two(make)

    fresh = weights(point_trainer(seed=0))
    for name, tensor in fresh.items():
        assert torch.equal(weights(main)[name], tensor)
        assert torch.equal(weights(other)[name], tensor)
    assert not torch.equal(torch.stack(drawn), torch.stack(drawn_by_other))


def test_windows_differ_between_processes_of_the_same_seed():
    def draw(process: Half) -> Tensor:
        return point_dataset().sample(8, point_trainer(seed=3, process=process).generator).obs

    first, second = in_two(draw)

    assert not torch.equal(first, second)


def test_after_a_fit_all_have_the_same_weights():
    def fit(process: Half) -> dict[str, Tensor]:
        trainer = point_trainer(process=process)
        trainer.fit(point_dataset(), 6)
        return weights(trainer)

    first, second = in_two(fit)

    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert not torch.equal(first["model.net.weight_0"], weights(point_trainer())["model.net.weight_0"])


def test_a_gradient_that_is_not_finite_in_one_process_stops_all():
    """Nobody goes on alone and waits for ever."""

    def train(process: Half) -> str:
        trainer = point_trainer(process=process)
        windows = some_windows(torch.arange(4))
        if process.rank == 1:
            windows.obs[0, 1] = torch.nan
        before = weights(trainer)
        with pytest.raises(DivergenceError) as caught:
            trainer.step(windows)
        assert all(torch.equal(tensor, before[name]) for name, tensor in weights(trainer).items())
        return str(caught.value)

    assert all("diverged at update 0" in text for text in in_two(train))


def test_one_process_is_alone_and_the_main_one():
    tensor = torch.tensor([1.0, 2.0])
    process = Process()

    process.reduce([tensor])
    process.broadcast([tensor])

    assert process.is_main
    assert (process.rank, process.world_size) == (0, 1)
    assert tensor.tolist() == [1.0, 2.0]
    assert not Process(rank=1, world_size=2).is_main
