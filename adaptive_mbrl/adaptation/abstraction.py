"""Codes are as far apart as what they mean: a loss of HiP-BMDP (Zhang et al. 2021, arXiv 2007.07206).

    L_i = ( |z_i - z_j| - mean_h W_2( T(s_h, a_h; z_i), T(s_h, a_h; z_j) ) )^2       h = 0..M - 1,   j = i + W // 2 modulo W

T(s, a; z) is the distribution of the next state under the code z, at the states and actions of window i's query, and W_2 the
2-Wasserstein distance. Of Gaussians with equal standard deviations it is the distance of their means, which is counted in target
stds here. Where the loss is small, the space of codes is a map of the dynamics: codes that predict the same are the same, and a
small step of the code is a small change of the predictions.

The distance of the predictions is a constant for the derivative, as published: the loss moves the codes, both of a pair, and
never the dynamics, which could otherwise make it small by ignoring the code. What differs from the paper:

- There the code is an embedding of the environment's number; here it is inferred from a window. The windows of a pair may be of
  one situation, which the loss pulls together as it should.
- There the dynamics are those of a learned abstract state, and further losses train the encoder of observations, among them one
  of predicting the reward. Here states are observed and objectives are given, so that nothing of this is learned and no
  difference of rewards is in the distance.
- The distance of the predictions is the mean over the ensemble's particles and the M steps of the query, where there the squared
  difference of single transitions is averaged. The derivative is the same, and the loss is zero where distances agree on average.
- This is about the paper. The published code takes one norm over the whole batch, so that its weight of 0.01 has another scale.
- A learned standard deviation does not count, as it does not in adaptation otherwise.

Window j of the meta-batch follows from i alone, so that the loss is a function of parameters and windows. Half the meta-batch
away there is another situation also where each situation's windows lie one after another. With several processes the pairs are
within the share of each, and a window that is alone has no loss.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor


def abstraction_loss(codes: Tensor, dynamics: Callable[[Tensor], NetworkPredictor], windows: Windows) -> Tensor:
    """The squared difference of both distances, (W,).

    Args:
        codes: one of each window, (W, code_dim).
        dynamics: the predictor under given codes, (W, code_dim).
        windows: whose queries begin each step at its true observation.
    """
    others = codes.roll(-(len(codes) // 2), dims=0)
    before = windows.obs[:, :-1]
    with torch.no_grad():
        own, other = (dynamics(code).target(before, windows.action).mean for code in (codes, others))
        apart = torch.linalg.vector_norm(own - other, dim=-1).mean((0, 2))
    # autocast keeps weights that it has cast, and those that were cast in here would have no gradient after it
    torch.clear_autocast_cache()
    return (torch.linalg.vector_norm(codes - others, dim=-1) - apart).square()
