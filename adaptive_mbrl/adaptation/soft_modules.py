r"""Soft modularisation: the belief routes between modules of the network (Yang et al. 2020, arXiv 2003.13661).

Each hidden layer is divided into n modules, equal blocks of its units. A routing network turns the code z of the window into
probabilities of the connections between the modules of one layer, i, and those of the next, j:

    p_l(i -> j) = softmax_i(q_l)_ij,     q_1 = D_1 silu(H z),     q_(l+1) = D_(l+1) silu( (U_l n p_l + u_l) * H z )
    module j of layer l + 1 gets         sum_i n p_l(i -> j) W_l,ij h_i + b_j

The routing of a layer depends on that of the layer before and on the code. Since it depends on nothing else, the routed modules
are the ordinary network with its weight block (i, j) multiplied by n p(i -> j): each robot has weights of its own, which are made
once per belief. Input and output layer are not routed: every module of the first layer sees the input, and the output all modules
of the last one. All members of an ensemble have the same routing, so that a module stands for the same in each of them.

The code is that of `attention_encoder`. H and D have no bias, so that the code zero, the prior, routes uniformly: n p = 1, and
the predictor is exactly the unchanged network. A learned prior could express nothing else: its constant factors would be absorbed
by the weights, which are meta-learned, too.

What differs from the paper:

- There the routing also depends on the state, whose features are multiplied with H z. Then each candidate of a planner would
  have weights of its own at every predicted step.
- There a module gets one mixture of the modules before it, W_ij = W_j. Here the n blocks differ, as they do in any layer. That
  is the more general network, and the one that is left where the routing is uniform.
- The next layer's gate gets n p and not the logits, and the activation is the network's silu.
- There z is the known number of the task, and the tasks' losses are balanced, which `outer.balancing` does here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.attention_encoder import AttentionEncoderRule, CodeBelief
from adaptive_mbrl.config import bounded
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError


@dataclass(frozen=True)
class SoftModulesConfig:
    """The modules and what routes between them.

    Attributes:
        modules: n, number of modules of each hidden layer; divides all widths of `model.hidden`.
        hidden: width of the encoder's two hidden layers, and of the routing network.
        heads: number of attention heads, each of which pools the window with a query of its own.
        code_dim: length of the code.
        seed: fixes the initial weights of encoder and routing.
    """

    TAG: ClassVar[str] = "soft_modules"

    modules: int = bounded(4, low=2, high=64)
    hidden: int = bounded(128, low=1, high=4096)
    heads: int = bounded(4, low=1, high=64)
    code_dim: int = bounded(16, low=1, high=1024)
    seed: int = bounded(0, low=0, high=2**31 - 1)

    def make(self, model: DynamicsModel, window: int) -> SoftModulesRule:
        """The rule for a model, whatever the window."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return SoftModulesRule(model, self)


class Router(nn.Module):
    """Maps a code to what the connections between modules are multiplied by; begins near the uniform routing.

    Args:
        code_dim: length of the code.
        hidden: width.
        num: n, number of modules of each layer.
        connected: number of pairs of layers between which it routes.
    """

    def __init__(self, code_dim: int, hidden: int, num: int, connected: int) -> None:
        super().__init__()
        self.num = num
        # no bias but in the gates: the code zero is the prior
        self.embedding = nn.Linear(code_dim, hidden, bias=False)
        heads = [nn.Linear(hidden, num**2, bias=False) for _ in range(connected)]
        for head in heads:
            nn.init.normal_(head.weight, std=0.01)
        self.heads = nn.ModuleList(heads)
        self.gates = nn.ModuleList(nn.Linear(num**2, hidden) for _ in range(connected - 1))

    def forward(self, code: Tensor) -> list[Tensor]:
        """n p(i -> j) of each pair of layers, (B, n, n) with i before j; of mean 1 over i. `code`: (B, code_dim)."""
        embedded = self.embedding(code)
        gated: Tensor = embedded
        factors: list[Tensor] = []
        for i, head in enumerate(self.heads):
            if i > 0:
                gated = self.gates[i - 1](factors[-1].flatten(1)) * embedded
            logits = head(nn.functional.silu(gated)).unflatten(-1, (self.num, self.num))
            strength = (logits - logits.amax(1, keepdim=True)).exp()
            # not n times a softmax, whose rounding would make the prior's factors differ from 1
            factors.append(strength / strength.mean(1, keepdim=True))
        return factors


class SoftModulesRule(AttentionEncoderRule):
    """An attention encoder of the window, whose code routes between the modules of the hidden layers.

    Args:
        model: gives the sizes.
        config: the modules.

    Raises:
        ConfigError: there are fewer than two hidden layers, or their widths cannot be divided into the modules.
    """

    def __init__(self, model: DynamicsModel, config: SoftModulesConfig) -> None:
        widths = model.config.hidden
        if len(widths) < 2:
            raise ConfigError(
                f"key 'model.hidden': {list(widths)}; soft_modules needs at least two hidden layers, between which it routes"
            )
        common = math.gcd(*widths)
        if common % config.modules:
            allowed = ", ".join(str(n) for n in range(2, 65) if common % n == 0) or "none with these widths"
            raise ConfigError(
                f"key 'adaptation.soft_modules.modules': {config.modules} does not divide all widths of model.hidden, "
                f"{list(widths)}; allowed: {allowed}"
            )
        super().__init__(model, config.hidden, config.heads, config.code_dim)
        self.config = config
        self.routed = [f"weight_{i}" for i in range(1, len(widths))]
        self.router = Router(config.code_dim, config.hidden, config.modules, len(self.routed))

    def condition(self, base: NetworkPredictor, belief: CodeBelief, noise: Tensor | None = None) -> NetworkPredictor:
        changed = {}
        for name, factors in zip(self.routed, self.router(belief.code), strict=True):
            weight = base.per_robot(name)
            for axis in (-2, -1):
                factors = factors.repeat_interleave(weight.shape[axis] // self.config.modules, dim=axis)
            changed[name] = weight * factors
        return base.with_parameters(changed)
