"""Low-rank updates of the hidden layers' weights (LoRA, Hu et al. 2021, arXiv 2106.09685).

    W' = W + A B,    A: (fan_in, r), meta-learned,    B: (r, fan_out), zero before any data

With A's entries of variance 1 / r the mean of A A^T is the identity: whatever the rank, a first gradient step on B moves W' on
average as far as a step of that size on W itself.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network import Parameters
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError


class LowRankFactors(nn.Module):
    """Where each member's factors start, for all robots alike: A is learned, B is zero.

    Args:
        model: gives the names and shapes of the weights.
        rank: r.

    Raises:
        ConfigError: the network has no hidden layer.
    """

    def __init__(self, model: DynamicsModel, rank: int) -> None:
        super().__init__()
        if not model.config.hidden:
            raise ConfigError("key 'model.hidden': empty; low_rank needs at least one hidden layer, whose weights it moves")
        weights = model.net.parameters_by_name()
        self.names = [f"weight_{i}" for i in range(model.net.num_layers - 1)]
        self.a, self._b_shapes = nn.ParameterDict(), {}
        for name in self.names:
            members, fan_in, fan_out = weights[name].shape
            self.a[name] = nn.Parameter(torch.randn(members, fan_in, rank) / math.sqrt(rank))
            self._b_shapes[name] = (members, rank, fan_out)

    def start(self) -> dict[str, Tensor]:
        """All factors by name, (E, fan_in, r) and (E, r, fan_out)."""
        factors = {}
        for name in self.names:
            factors[f"{name}_a"] = self.a[name]
            factors[f"{name}_b"] = self.a[name].new_zeros(self._b_shapes[name])
        return factors

    def weights(self, base: NetworkPredictor, factors: Parameters) -> dict[str, Tensor]:
        """The weights that factors (E, B, ...) make of the base's own, each (E, B, fan_in, fan_out)."""
        return {name: base.per_robot(name) + factors[f"{name}_a"] @ factors[f"{name}_b"] for name in self.names}
