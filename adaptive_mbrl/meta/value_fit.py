r"""Fits a terminal value to recorded episodes by fitted TD(lambda).

    G_t = r_t + gamma ( (1 - lambda) V(s_{t+1}) + lambda G_{t+1} ),      G_T = V(s_T), or 0 where the episode ended by itself

(Sutton & Barto, Reinforcement Learning, 2nd edition, section 12.1). The targets G are computed for all steps under the present
V, V is fitted to them for some gradient steps, and so on. This values the controllers that recorded the episodes. Episodes of a
random policy are left out once there are others, because nobody will go on like that after the planner's horizon.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.statistics import transition_statistics
from adaptive_mbrl.errors import DivergenceError
from adaptive_mbrl.objective import RewardFunction
from adaptive_mbrl.planning.value import ValueFunction


def fit_value(value: ValueFunction, episodes: Sequence[Episode], reward: RewardFunction, seed: int = 0) -> dict[str, float]:
    """Fit a value in place.

    Args:
        value: where to begin: new, or fitted to fewer episodes.
        episodes: whole episodes, and branches, whose histories are left out.
        reward: what the planner maximises; it has no goal.
        seed: fixes the order of the samples.

    Returns:
        Figures: the share of the targets' variance that the value explains, and the targets' mean.

    Raises:
        DivergenceError: the targets or the fitted values are not finite.
    """
    used = [e for e in episodes if e.tags.get("source") != "random"] or list(episodes)
    futures = [_Future.of(e, reward) for e in used]
    starts = torch.cat([f.obs[:-1] for f in futures])
    value.normalizer.fit(transition_statistics(value.normalizer.spec, [(starts, torch.cat([f.obs[1:] for f in futures]))]))
    config, generator = value.config, torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(value.net.parameters(), lr=config.learning_rate)
    value.train().requires_grad_(True)
    targets = _finite(_targets(value, futures), "targets of its fit")
    _rescale(value, targets)
    for _ in range(config.sweeps):
        targets = _finite(_targets(value, futures), "targets of its fit")
        wanted = (targets - value.return_mean) / value.return_std
        for _ in range(config.updates):
            rows = torch.randint(len(starts), (config.batch_size,), generator=generator)
            optimizer.zero_grad(set_to_none=True)
            nn.functional.mse_loss(value.standardised(starts[rows]), wanted[rows]).backward()
            optimizer.step()
    value.eval().requires_grad_(False)
    residual = targets - _finite(value.value(starts), "fitted values")
    explained = 1.0 - float(residual.var() / targets.var().clamp_min(1e-12))
    return {"value/explained_variance": explained, "value/mean": float(targets.mean())}


def _finite(values: Tensor, words: str) -> Tensor:
    if not bool(values.isfinite().all()):
        raise DivergenceError(f"key 'value': {words} are not finite; a lower value.learning_rate or value.discount may help")
    return values


class _Future:
    """What a value is fitted to: observations (T + 1, obs_dim), rewards (T,), and whether nothing comes after them."""

    def __init__(self, obs: Tensor, rewards: Tensor, ended: bool) -> None:
        self.obs, self.rewards, self.ended = obs, rewards, ended

    @classmethod
    def of(cls, episode: Episode, reward: RewardFunction) -> _Future:
        obs, action = (torch.tensor(x[episode.history :]) for x in (episode.obs, episode.action))
        return cls(obs, reward(obs[:-1], action, obs[1:], obs.new_zeros(len(action), 0)), episode.ended)


@torch.no_grad()
def _targets(value: ValueFunction, futures: Sequence[_Future]) -> Tensor:
    """G of every step of all episodes, one after another."""
    discount, trace = value.config.discount, value.config.trace
    found = []
    for future in futures:
        after = value.value(future.obs[1:]).numpy().copy()
        if future.ended:
            after[-1] = 0.0
        rewards, gathered = future.rewards.numpy(), np.empty_like(after)
        ahead = after[-1]
        for t in range(len(after) - 1, -1, -1):
            ahead = rewards[t] + discount * ((1 - trace) * after[t] + trace * ahead)
            gathered[t] = ahead
        found.append(torch.from_numpy(gathered))
    return torch.cat(found)


@torch.no_grad()
def _rescale(value: ValueFunction, targets: Tensor) -> None:
    """Take the targets' mean and spread as the units of the network's output; the values that it gives stay the same."""
    mean, std = targets.mean(), targets.std().clamp_min(1e-6)
    last = value.net[-1]
    assert isinstance(last, nn.Linear)
    last.weight.mul_(value.return_std / std)
    last.bias.copy_((last.bias * value.return_std + value.return_mean - mean) / std)
    value.return_mean.copy_(mean)
    value.return_std.copy_(std)
