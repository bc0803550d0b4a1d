"""Context-based adaptation: an encoder of the window gives a latent context, in one forward pass.

The encoder is that of `attention_encoder`, and the dynamics model gets its code as context (CaDM, Lee et al. 2020, arXiv
2005.06800).

CaDM trains its code on predicting the M steps after the window, forward and backward in time. Forward is the query loss of the
outer loop, for every rule; backward is the option `backward` here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from adaptive_mbrl.adaptation.attention_encoder import AttentionEncoderRule, CodeBelief
from adaptive_mbrl.adaptation.backward import BackwardModel
from adaptive_mbrl.adaptation.modulation import Modulation
from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor


@dataclass(frozen=True)
class ContextConfig:
    """The encoder.

    Attributes:
        hidden: width of its two hidden layers.
        heads: number of attention heads, each of which pools the window with a query of its own.
        code_dim: length of the code.
        action_gain: whether the code moves the gains of the network's action inputs, too, which express a weak or reversed motor
            exactly; without it the code acts through the network's context only.
        backward: weight of the loss of predicting backward in time, which is 0.5 in CaDM; 0 for none.
        seed: fixes its initial weights.
    """

    TAG: ClassVar[str] = "context"

    hidden: int = bounded(128, low=1, high=4096)
    heads: int = bounded(4, low=1, high=64)
    code_dim: int = bounded(16, low=1, high=1024)
    action_gain: bool = True
    backward: float = bounded(0.0, low=0.0)
    seed: int = bounded(0, low=0, high=2**31 - 1)

    def make(self, model: DynamicsModel, window: int) -> ContextRule:
        """The rule for a model, whatever the window."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return ContextRule(model, self)


class ContextRule(AttentionEncoderRule):
    """An attention encoder of the window, whose code modulates the network's input.

    Args:
        model: gives the sizes.
        config: the encoder.

    Raises:
        ConfigError: the code could change nothing.
    """

    def __init__(self, model: DynamicsModel, config: ContextConfig) -> None:
        super().__init__(model, config.hidden, config.heads, config.code_dim)
        self.config = config
        self.modulation = Modulation(model, config.code_dim, config.action_gain)
        self.backward_model = BackwardModel(model, config.code_dim, config.hidden) if config.backward > 0 else None

    def condition(self, base: NetworkPredictor, belief: CodeBelief, noise: Tensor | None = None) -> NetworkPredictor:
        return self.modulation(base, belief.code)

    def loss_terms(self, belief: CodeBelief, windows: Windows, base: NetworkPredictor) -> dict[str, Tensor]:
        """`backward`, where it is asked for."""
        if self.backward_model is None:
            return {}
        return {"backward": self.config.backward * self.backward_model.loss(belief.code, windows, base.model.normalizer)}
