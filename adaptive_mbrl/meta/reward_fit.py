"""Fits a learned reward to the rewards of episodes, by least squares on single transitions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.statistics import transition_statistics
from adaptive_mbrl.errors import ConfigError, DivergenceError
from adaptive_mbrl.meta.cosine_fit import descend
from adaptive_mbrl.meta.transitions_of import transitions_of
from adaptive_mbrl.planning.learned_reward import LearnedReward

SMALLEST_STD = 1e-6
"""Standard deviation of rewards below which they count as all the same."""


def require_rewards(episodes: Sequence[Episode]) -> None:
    """Refuse episodes that a reward cannot be learned from.

    Raises:
        ConfigError: a reward is missing, or all are the same.
    """
    rewards = transitions_of(episodes).reward
    if not bool(rewards.isfinite().all()):
        raise ConfigError("key 'learned_reward': some rewards of the episodes are not finite numbers")
    if bool((rewards == rewards[0]).all()):
        raise ConfigError(
            f"key 'learned_reward': all rewards of the episodes are {float(rewards[0]):g}; allowed: episodes with rewards that "
            "differ, or reward terms in 'objective'"
        )


def fit_reward(
    reward: LearnedReward, training: Sequence[Episode], held_out: Sequence[Episode] = (), seed: int = 0
) -> dict[str, float]:
    """Fit a reward in place.

    Args:
        reward: where to begin: new, or fitted to fewer episodes.
        training: episodes with rewards, branches included.
        held_out: others, for the figures; those of `training` if there are none.
        seed: fixes the order of the samples.

    Returns:
        Figures: the share of the rewards' variance that the network explains; none where the rewards do not differ.

    Raises:
        DivergenceError: the fit is not finite.
    """
    data = transitions_of(training)
    reward.network.normalizer.fit(transition_statistics(reward.network.normalizer.spec, [(data.obs, data.next_obs)]))
    reward.train().requires_grad_(True)
    _rescale(reward, data.reward)
    wanted = (data.reward - reward.reward_mean) / reward.reward_std
    config, generator = reward.config, torch.Generator().manual_seed(seed)

    def loss() -> Tensor:
        index = torch.randint(len(wanted), (config.batch_size,), generator=generator)
        rows = data.rows(index)
        return nn.functional.mse_loss(reward.standardised(rows.obs, rows.action, rows.next_obs), wanted[index])

    descend(reward.network.net.parameters(), loss, config.updates, config.learning_rate)
    reward.eval().requires_grad_(False)
    compared = transitions_of(held_out) if held_out else data
    predicted = reward(compared.obs, compared.action, compared.next_obs, compared.obs.new_zeros(len(compared.obs), 0))
    if not bool(predicted.isfinite().all()):
        raise DivergenceError("key 'learned_reward': the fit is not finite; a lower learned_reward.learning_rate may help")
    # a share of no variance is no number
    variance = float(compared.reward.var(correction=0))
    if variance <= SMALLEST_STD**2:
        return {}
    return {"reward/explained_variance": 1.0 - float((compared.reward - predicted).var(correction=0)) / variance}


@torch.no_grad()
def _rescale(reward: LearnedReward, rewards: Tensor) -> None:
    """Take the rewards' mean and spread as the units of the network's output; the rewards that it gives stay the same."""
    mean, std = rewards.mean(), rewards.std().clamp_min(SMALLEST_STD)
    last = reward.network.net[-1]
    assert isinstance(last, nn.Linear)
    last.weight.mul_(reward.reward_std / std)
    last.bias.copy_((last.bias * reward.reward_std + reward.reward_mean - mean) / std)
    reward.reward_mean.copy_(mean)
    reward.reward_std.copy_(std)
