r"""Features that do not tell the situation: the adversary of Neural-Fly (DAIML, O'Connell et al. 2022, arXiv 2205.06908).

    max over h, min over phi    L_query(phi) - weight * mean over the query's steps of  CE(h(phi(s, a)), c)

A robot under other dynamics visits other states. Features may remember which, and then say through the state what only the last
layer should say; this is an overfit to the training situations. So a discriminator h guesses the situation c of a window
(`Windows.task`) from the features of single transitions of its query, with the cross entropy CE, and the features are trained to
make it fail. Whatever differs between situations is then left to the last layer, which is adapted.

The paper alternates: one step of phi against the present h and then, with a probability of less than one, a step of h on the same
windows. Here the gradient is reversed on its way from h to phi (Ganin and Lempitsky 2015, arXiv
1409.7495). What differs from the paper:

- Both step at once, once per outer step, each against the other as it was before. How fast h follows is told by its own learning
  rate, in the place of the probability. So an outer step is a function of parameters and windows alone, and can be replayed.
- A meta-batch has windows of many situations, and the paper's batch those of one. Each member has a discriminator of its own.
- The game is no sum of losses: its term has the value zero, and gradients. `train/query_loss` means what it means without it,
  and a balancing does not take a situation that is hard to tell for one that is hard to predict. The discriminator's gradient is
  clipped together with all others.
- The paper clips the norm of the adapted last layer at gamma. Here the Gaussian prior bounds it: the layer is moved by at most
  |R| / (2 sigma) in stds of the prior, from residuals R of the window.
- The paper's spectral normalisation of phi, which bounds its Lipschitz constant, has no counterpart; weight decay and the clipped
  outer gradient merely keep the weights small.

Situation t is class t mod `count`, so that with more situations than classes unrelated ones share one, and the discriminator is
told less. A query that a change falls into counts as the situation it begins with.

That h is at chance says that the features fool it, not that nothing is left in them: features have no noise, so that another
discriminator that is fitted to them afterwards may find a small rest. Where h learns much faster than the features, it wins, and
its gradient vanishes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adaptive_mbrl.config import bounded


@dataclass(frozen=True)
class DomainAdversaryConfig:
    """The discriminator.

    Attributes:
        weight: how strongly features are trained against the discriminator, beside the query loss.
        count: number of classes, best that of training situations.
        hidden: width of its hidden layer.
        learning_rate: the outer loop's rate for the discriminator, best about that of the network.
        seed: fixes its initial weights.
    """

    weight: float = bounded(0.1, low=0.0)
    count: int = bounded(128, low=2, high=4096)
    hidden: int = bounded(64, low=1, high=4096)
    learning_rate: float = bounded(3e-3, low=0.0)
    seed: int = bounded(0, low=0, high=2**31 - 1)


class DomainAdversary(nn.Module):
    """A perceptron with one hidden layer for each member; it takes part in training only.

    Args:
        members: E.
        features: F, number of features.
        config: the discriminator.
    """

    def __init__(self, members: int, features: int, config: DomainAdversaryConfig) -> None:
        super().__init__()
        self.config = config
        generator = torch.Generator().manual_seed(config.seed)

        def layer(fan_in: int, fan_out: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(members, fan_in, fan_out, generator=generator) / math.sqrt(fan_in))

        self.weight_0, self.weight_1 = layer(features, config.hidden), layer(config.hidden, config.count)
        self.bias_0 = nn.Parameter(torch.zeros(members, 1, config.hidden))
        self.bias_1 = nn.Parameter(torch.zeros(members, 1, config.count))

    def forward(self, features: Tensor) -> Tensor:
        """Unnormalised log probabilities of the classes: (E, W, M, F) -> (E, W, M, count)."""
        hidden = nn.functional.silu(torch.baddbmm(self.bias_0, features.flatten(1, 2), self.weight_0))
        return torch.baddbmm(self.bias_1, hidden, self.weight_1).unflatten(1, features.shape[1:3])

    def loss(self, features: Tensor, task: Tensor) -> Tensor:
        """Cross entropy of each window, mean over members and steps, (W,); its gradient in the features is reversed.

        Args:
            features: of the transitions of each query, (E, W, M, F).
            task: the situation of each window, (W,).
        """
        # in the digits of the weights, also under autocast
        scores = self(gradient_reversed(features, self.config.weight)).to(self.bias_1.dtype)
        wanted = (task % self.config.count)[None, :, None, None].expand(*features.shape[:3], 1)
        return -scores.log_softmax(-1).gather(-1, wanted).mean((0, 2, 3))


def gradient_reversed(x: Tensor, weight: float) -> Tensor:
    """`x` as it is; on the way back its gradient is multiplied by ``-weight``."""
    return x.detach() + weight * (x.detach() - x)
