"""Recurrent adaptation: a state that is carried through the episode (ReBAL, Nagabandi et al. 2018, arXiv 1803.11347).

    h_t = GRU(e_t, h_{t-1}),   h_0 = 0        e_t = transition t

It is the belief form of RL2 (Duan et al. 2016, arXiv 1611.02779): learning is what the recurrent network does with its state. An
LSTM (Hochreiter and Schmidhuber 1997) can take the GRU's place.

Control carries the state through the whole episode. Training that begins at h_0 with each window never shows a state that is
older than K transitions, and such a rule learns neither to keep what it has seen longer ago nor to live with it. With `carried`
of H transitions training begins H before the query, or where the episode begins, and truncates backpropagation through time: the
outer gradient flows through the last transitions only, and the state before them is a constant. What is worth keeping is learned
all the same, because there are windows that begin with it. As published, episodes are passed through in order and the state at
the beginning of each segment was made by older weights; here windows stay random, which is what the outer loop and its balancing
draw, and each state is made by the present weights. The price is that the network predicts W (H - K) more transitions per outer
step, though without a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.modulation import Modulation, encode_transitions, transition_dim
from adaptive_mbrl.adaptation.rule import RecursiveRule
from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.transitions import Transitions

_CHUNK = 16  # transitions of each window that are predicted at once where no gradient is needed


@dataclass(frozen=True)
class RecurrentConfig:
    """The recurrent network, and how far back its training looks.

    Attributes:
        hidden: length of its hidden state.
        cell: `gru`, or `lstm`, which has a memory of the same length beside the hidden state.
        carried: over how many transitions before the query training carries the state; 0, like any number up to K, for the K of
            the window. As long as an episode, training shows what control does.
        truncation: through how many of the last of these transitions the outer gradient flows; 0 for K of them.
        seed: fixes its initial weights.
    """

    TAG: ClassVar[str] = "recurrent"

    hidden: int = bounded(64, low=1, high=4096)
    cell: Literal["gru", "lstm"] = "gru"
    carried: int = bounded(0, low=0, high=100_000)
    truncation: int = bounded(0, low=0, high=100_000)
    seed: int = bounded(0, low=0, high=2**31 - 1)

    def make(self, model: DynamicsModel, window: int) -> RecurrentRule:
        """The rule for a model and a window of K transitions."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return RecurrentRule(model, self, window)


class RecurrentBelief(NamedTuple):
    """The hidden state, (B, hidden); with an LSTM the hidden state and the memory, (B, 2 hidden)."""

    hidden: Tensor


class RecurrentRule(RecursiveRule[RecurrentBelief]):
    """A gated recurrent unit over single transitions.

    Args:
        model: gives the sizes.
        config: the recurrent network.
        window: K.
    """

    def __init__(self, model: DynamicsModel, config: RecurrentConfig, window: int) -> None:
        super().__init__()
        self.config = config
        carried = max(window, config.carried)
        if config.truncation > carried:
            raise ConfigError(
                f"key 'adaptation.recurrent.truncation': {config.truncation}; training carries the state over {carried} "
                "transitions; allowed: at most so many, or a larger 'carried'"
            )
        self.truncation = config.truncation or window
        self.cell: nn.GRUCell | nn.LSTMCell
        if config.cell == "lstm":
            self.cell = nn.LSTMCell(transition_dim(model), config.hidden)
        else:
            self.cell = nn.GRUCell(transition_dim(model), config.hidden)
        self.modulation = Modulation(model, config.hidden)

    @property
    def carried(self) -> int:
        return self.config.carried

    def prior(self, batch_size: int, base: NetworkPredictor) -> RecurrentBelief:
        length = self.config.hidden * (2 if self.config.cell == "lstm" else 1)
        return RecurrentBelief(self.cell.weight_hh.new_zeros(batch_size, length))

    def advance(self, belief: RecurrentBelief, newest: Transitions, base: NetworkPredictor) -> RecurrentBelief:
        return RecurrentBelief(self._next(belief.hidden, encode_transitions(base, newest)[:, 0], newest.valid))

    def infer_in_training(self, windows: Windows, base: NetworkPredictor) -> RecurrentBelief:
        """The belief that control carries after the same transitions; the outer gradient flows through the last of them only."""
        recent = windows.recent
        passed = max(0, recent.obs.shape[1] - self.truncation)
        belief = self.prior(len(recent.obs), base)
        if passed:
            belief = self._passed(belief, recent.steps(slice(passed)), base)
        return self.carry(belief, recent.steps(slice(passed, None)), base)

    def condition(self, base: NetworkPredictor, belief: RecurrentBelief, noise: Tensor | None = None) -> NetworkPredictor:
        return self.modulation(base, belief.hidden[:, : self.config.hidden])

    @torch.no_grad()
    def _passed(self, belief: RecurrentBelief, recent: Transitions, base: NetworkPredictor) -> RecurrentBelief:
        """What `carry` gives, as a constant; `base` is the same for all robots, since no rule comes before this one."""
        hidden = belief.hidden
        for begin in range(0, recent.obs.shape[1], _CHUNK):
            part = recent.steps(slice(begin, begin + _CHUNK))
            # of many windows the episode had not begun yet, and to predict nothing would cost as much
            rows = part.valid.any(1).nonzero()[:, 0]
            if len(rows) == 0:
                continue
            part, state = Transitions(*(field[rows] for field in part)), hidden[rows]
            encoded = encode_transitions(base, part)
            for k in range(encoded.shape[1]):
                state = self._next(state, encoded[:, k], part.valid[:, k : k + 1])
            hidden = hidden.index_copy(0, rows, state)
        # autocast keeps weights that it has cast, and those that were cast in here would have no gradient after it
        torch.clear_autocast_cache()
        return RecurrentBelief(hidden)

    def _next(self, state: Tensor, encoded: Tensor, valid: Tensor) -> Tensor:
        """The state after one transition, (B, transition_dim); it stays as it is where the transition is not valid, (B, 1)."""
        if isinstance(self.cell, nn.LSTMCell):
            hidden, memory = state.chunk(2, dim=1)
            moved = torch.cat(self.cell(encoded, (hidden, memory)), dim=1)
        else:
            moved = self.cell(encoded, state)
        return torch.where(valid, moved, state)
