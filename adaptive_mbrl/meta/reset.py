"""Layers that are drawn again in the middle of a training, so that it does not stay with what it learned from its first data.

Networks that are trained on data that grows overfit to the early part of it, and later data changes them too little (the primacy
bias: Nikishin et al. 2022, arXiv 2205.07802). Drawing layers again gives the ability to learn back; the data stays, so that
what was right is learned again at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from adaptive_mbrl.adaptation.network_adapter import NetworkAdapter
from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.meta.trainer import MetaTrainer


@dataclass(frozen=True)
class ResetConfig:
    """When layers of the dynamics network are drawn again.

    Attributes:
        rounds: numbers of the rounds before whose fit it happens; none by default.
        layers: `last` for the output layer, `all` for all layers. Action gains, contexts and the rules' own parameters stay.
    """

    rounds: tuple[int, ...] = bounded((), low=1)
    layers: Literal["last", "all"] = "last"


@torch.no_grad()
def reset_layers(trainer: MetaTrainer, adapter: NetworkAdapter, layers: Literal["last", "all"], seed: int) -> None:
    """Draw layers again, and forget what the optimiser has gathered about them.

    Args:
        trainer: owns the optimiser.
        adapter: what it trains.
        layers: which layers.
        seed: fixes the new weights.
    """
    model = adapter.model
    fresh = DynamicsModel(model.spec, model.config, seed).net
    first = model.net.num_layers - 1 if layers == "last" else 0
    for i in range(first, model.net.num_layers):
        for name in (f"weight_{i}", f"bias_{i}"):
            parameter = model.net.get_parameter(name)
            parameter.copy_(fresh.get_parameter(name))
            trainer.optimizer.state.pop(parameter, None)
    trainer.process.broadcast(model.net.state_dict().values())
