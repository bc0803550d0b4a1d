"""What rules share that encode transitions: these as vectors, how they are pooled, and a code that modulates the network's input.

action_gain = action_gain_0 + G z,   context = context_0 + C z        z = 0 is the prior
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network import MODULATION
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.transitions import Transitions


def transition_dim(model: DynamicsModel, *, surprise: bool = True) -> int:
    """Length of an encoded transition; `surprise` as in `encode_transitions`."""
    return model.normalizer.encoded_dim + model.spec.action_dim + (2 if surprise else 1) * model.spec.obs_dim


def encode_transitions(base: NetworkPredictor, recent: Transitions, *, surprise: bool = True) -> Tensor:
    """Each transition as a vector: what was seen, sent and came of it, and by how much the base mispredicted that.

    Args:
        base: the dynamics before this rule; its error is what is left to explain.
        recent: finite also where it is not valid.
        surprise: False leaves out the error of the base, which need not predict then.

    Returns:
        (B, K, `transition_dim`), zero where a transition is not valid.
    """
    normalizer = base.model.normalizer
    target = normalizer.target(recent.obs, recent.next_obs)
    parts = [base.affine.encode(recent.obs), normalizer.encode_action(recent.action), target]
    if surprise:
        parts.append(target - base.target(recent.obs, recent.action).mean.mean(0).detach())
    # a spike of a sensor must not drive what is trained on these numbers far from all that it was trained on
    return torch.where(recent.valid[..., None], torch.cat(parts, dim=-1).clamp(-10, 10), 0.0)


def pool(attention: Tensor, empty_attention: Tensor, values: Tensor, valid: Tensor) -> Tensor:
    """A code: the mean of the transitions' values under a softmax of their attention, in which an empty transition takes part.

    Args:
        attention: of each of H heads to each transition, (B, K, H).
        empty_attention: to the empty transition, whose value is zero, (H,).
        values: of each head, (B, K, H code_dim).
        valid: (B, K) bool.

    Returns:
        (B, code_dim): the sum over the heads, scaled to be of the size of one head's; zero where no transition is valid.
    """
    heads = len(empty_attention)
    attention = attention.masked_fill(~valid[..., None], -torch.inf)
    weights = torch.softmax(torch.cat([empty_attention.expand(len(attention), 1, -1), attention], dim=1), dim=1)[:, 1:]
    return torch.einsum("bkh,bkhc->bc", weights, values.unflatten(-1, (heads, -1))) / math.sqrt(heads)


class Modulation(nn.Module):
    """Maps a code to a displacement of the network's input modulation; begins at no displacement.

    Args:
        model: gives the sizes of the modulation.
        code_dim: length of the code.
        action_gain: whether the code moves the action gains, too, or the context only.

    Raises:
        ConfigError: there would be nothing for the code to move.
    """

    def __init__(self, model: DynamicsModel, code_dim: int, action_gain: bool = True) -> None:
        super().__init__()
        parameters = model.net.parameters_by_name()
        names = [name for name in MODULATION if action_gain or name != "action_gain"]
        sizes = {name: parameters[name].shape[-1] for name in names if parameters[name].numel() > 0}
        if not sizes:
            raise ConfigError(
                "key 'model.context_dim': 0; context without action_gain needs at least 1, through which its code acts"
            )
        # no bias: the code zero is the prior
        heads = {name: nn.Linear(code_dim, size, bias=False) for name, size in sizes.items()}
        for head in heads.values():
            nn.init.normal_(head.weight, std=0.01)
        self.heads = nn.ModuleDict(heads)

    def forward(self, base: NetworkPredictor, code: Tensor) -> NetworkPredictor:
        """The base with displaced modulation; `code`: (B, code_dim), the same for all particles, or (P, B, code_dim)."""
        changed = {}
        for name, head in self.heads.items():
            changed[name] = base.per_robot(name) + head(code)[..., None, :]
        return base.with_parameters(changed)
