"""Layers that are drawn again: which ones, that the optimiser forgets them, and that the network learns again."""

from __future__ import annotations

import pytest
import torch

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.meta.reset import reset_layers
from adaptive_mbrl.meta.trainer import MetaTrainer
from tests.core.point_training import held_out, point_dataset, point_trainer, weights

LAST = {"model.net.weight_1", "model.net.bias_1"}
FIRST = {"model.net.weight_0", "model.net.bias_0"}


def fitted() -> tuple[MetaTrainer, NetworkAdapter]:
    trainer = point_trainer()
    trainer.fit(point_dataset(), 30)
    assert isinstance(trainer.adapter, NetworkAdapter)
    return trainer, trainer.adapter


@pytest.mark.parametrize(("layers", "expected"), [("last", LAST), ("all", LAST | FIRST)])
def test_the_chosen_layers_change_and_nothing_else(layers: str, expected: set[str]):
    trainer, adapter = fitted()
    before = weights(trainer)

    reset_layers(trainer, adapter, layers, seed=5)  # type: ignore[arg-type]

    after = weights(trainer)
    assert {name for name in before if not torch.equal(before[name], after[name])} == expected
    forgotten = {n for n, p in adapter.named_parameters() if p not in trainer.optimizer.state and p.requires_grad}
    assert expected <= forgotten
    assert "model.net.context" not in forgotten


def test_the_new_weights_follow_from_the_seed():
    ends = []
    for seed in (5, 5, 6):
        trainer, adapter = fitted()
        reset_layers(trainer, adapter, "last", seed)
        ends.append(weights(trainer)["model.net.weight_1"])
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_the_network_learns_again():
    trainer, adapter = fitted()
    data = held_out(4, seed=50)
    key = "validation/adapted_loss"
    trained = trainer.validate(data)[key]

    reset_layers(trainer, adapter, "all", seed=5)
    forgotten = trainer.validate(data)[key]
    trainer.fit(point_dataset(), 60)

    assert forgotten > 1.3 * trained
    assert trainer.validate(data)[key] < trained
