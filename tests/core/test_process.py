"""Training in several processes: they begin with the same weights, and step along their average gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adaptive_mbrl.data.windows import Windows, concatenate
from adaptive_mbrl.errors import ConfigError, DivergenceError
from adaptive_mbrl.process import Process
from tests.core.point_training import point_dataset, point_trainer, some_windows, weights
from tests.core.together import ThreadProcess, precise, together


def steps_of_halves() -> list[tuple[Windows, Windows]]:
    """Three outer steps: the windows of each process."""
    begins = range(0, 96, 32)
    return [tuple(precise(some_windows(torch.arange(b + 16 * half, b + 16 * half + 16))) for half in range(2)) for b in begins]


def test_two_processes_take_the_steps_of_one_that_has_the_windows_of_both():
    """Clipping included, which acts on the average and not on each part of it."""
    settings = {"gradient_clip": 0.05}

    def train(process: ThreadProcess) -> tuple[list[float], dict[str, Tensor]]:
        half = point_trainer(process=process, **settings)
        half.adapter.double()
        losses = [half.step(windows[process.rank]).item() for windows in steps_of_halves()]
        return losses, weights(half)

    (losses, first), (other_losses, second) = together(2, train)

    alone = point_trainer(**settings)
    alone.adapter.double()
    whole = [alone.step(concatenate(windows)).item() for windows in steps_of_halves()]
    for name, tensor in weights(alone).items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], tensor, rtol=1e-9, atol=1e-9)
    assert losses == other_losses == pytest.approx(whole)


def test_all_begin_with_the_main_process_weights():
    main, other = together(2, lambda process: weights(point_trainer(seed=5 * process.rank, process=process)))

    for name, tensor in weights(point_trainer(seed=0)).items():
        assert torch.equal(main[name], tensor)
        assert torch.equal(other[name], tensor)


@pytest.mark.parametrize(("total", "number"), [(128, 2), (7, 3), (2, 4)])
def test_shares_follow_one_another_and_leave_nothing_out(total: int, number: int):
    shares = [Process(rank, number).share(total) for rank in range(number)]

    assert [i for share in shares for i in range(share.begin, share.end)] == list(range(total))
    assert max(share.end - share.begin for share in shares) - min(share.end - share.begin for share in shares) <= 1
    assert [(s.begin, s.end, s.total) for s in (share.times(3) for share in shares)] == [
        (3 * s.begin, 3 * s.end, 3 * total) for s in shares
    ]


def test_values_of_all_shares_are_put_together_in_order():
    values = torch.tensor([3, 1, 4, 1, 5, 9, 2])

    def gathered(process: ThreadProcess) -> tuple[list[int], float]:
        share = process.share(7)
        mean = share.mean(values[share.slice].double())
        process.reduce([mean])
        return share.whole(values[share.slice]).tolist(), float(mean)

    assert together(3, gathered) == [(values.tolist(), pytest.approx(25 / 7))] * 3


def test_one_of_them_is_enough():
    assert together(2, lambda process: process.any(process.rank == 1)) == [True, True]
    assert together(2, lambda process: process.any(False)) == [False, False]


def test_more_processes_than_windows_are_refused():
    with pytest.raises(ConfigError, match=r"key 'outer\.meta_batch_size': 2 windows make 2 shares at most, .* 3 processes"):
        point_trainer(process=Process(0, 3), meta_batch_size=2)


def test_after_a_fit_all_have_the_same_weights():
    def fit(process: ThreadProcess) -> dict[str, Tensor]:
        trainer = point_trainer(process=process)
        trainer.fit(point_dataset(), 6)
        return weights(trainer)

    first, second = together(2, fit)

    assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    assert not torch.equal(first["model.net.weight_0"], weights(point_trainer())["model.net.weight_0"])


def test_a_gradient_that_is_not_finite_in_one_process_stops_all():
    """Nobody goes on alone and waits for ever."""

    def train(process: ThreadProcess) -> str:
        trainer = point_trainer(process=process)
        windows = some_windows(torch.arange(4))
        if process.rank == 1:
            windows.obs[0, 1] = torch.nan
        before = weights(trainer)
        with pytest.raises(DivergenceError) as caught:
            trainer.step(windows)
        assert all(torch.equal(tensor, before[name]) for name, tensor in weights(trainer).items())
        return str(caught.value)

    assert all("not finite at update 0" in text for text in together(2, train))


def test_a_step_that_fails_in_one_process_is_handed_out_as_a_whole():
    """So that its dump shows what was wrong, whoever had it."""

    def failed(process: ThreadProcess) -> Windows:
        trainer = point_trainer(process=process)
        windows = some_windows(torch.arange(4) + 4 * process.rank)
        if process.rank == 1:
            windows.obs[2, 1] = torch.nan
        with pytest.raises(DivergenceError) as caught:
            trainer.step(windows)
        return caught.value.windows

    for whole in together(2, failed):
        assert len(whole.obs) == 8
        assert whole.obs.isnan().any(dim=(1, 2)).nonzero().tolist() == [[6]]


def test_gradients_are_compared_over_all_processes():
    alone = point_trainer().gradient_conflict(point_dataset())

    for found in together(2, lambda process: point_trainer(process=process).gradient_conflict(point_dataset())):
        assert found == pytest.approx(alone, rel=1e-4)


def test_one_process_is_alone_and_the_main_one():
    tensor = torch.tensor([1.0, 2.0])
    process = Process()

    process.reduce([tensor])
    process.broadcast([tensor])

    assert process.is_main
    assert (process.rank, process.world_size) == (0, 1)
    assert tensor.tolist() == [1.0, 2.0]
    assert not Process(rank=1, world_size=2).is_main
