"""The configuration of a baseline's training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from adaptive_mbrl.config import MAX_SEED, bounded, load_yaml
from adaptive_mbrl.errors import ConfigError
from sim.baselines.ppo import PPOConfig
from sim.baselines.recurrent_ppo import RecurrentPPOConfig
from sim.baselines.sac import SACConfig
from sim.paths import beside, find_config

Algorithm = PPOConfig | SACConfig | RecurrentPPOConfig


@dataclass(frozen=True)
class BaselineConfig:
    """The training of a baseline.

    Attributes:
        scenarios: the split and its part that episodes are drawn from, for example ``half_cheetah/cadm_cripple:train``.
        algorithm: the algorithm and its settings, for example ``{ppo: {rollout: 130}}``.
        env_steps: number of control steps of all robots together; a whole number of rollouts.
        num_envs: number of robots that are simulated side by side.
        rounds: number of parts that the training consists of; it can be resumed after each. Episodes end with a round.
        seed: seed of all randomness.
    """

    scenarios: str
    algorithm: Algorithm
    env_steps: int = bounded(low=1)
    num_envs: int = bounded(16, low=1, high=4096)
    rounds: int = bounded(10, low=1)
    seed: int = bounded(0, low=0, high=MAX_SEED)

    def __post_init__(self) -> None:
        block = self.num_envs * self.algorithm.rollout
        if self.env_steps % block:
            near = max(1, round(self.env_steps / block)) * block
            raise ConfigError(
                f"key 'env_steps': {self.env_steps} is no whole number of rollouts of {self.num_envs} robots * "
                f"{self.algorithm.rollout} steps = {block}; the nearest is {near}"
            )
        if self.rounds > self.env_steps // block:
            raise ConfigError(
                f"key 'rounds': {self.rounds} is out of range; allowed: 1 to {self.env_steps // block}, the rollouts"
            )

    def steps_until(self, index: int) -> int:
        """Number of env steps after `index` rounds."""
        block = self.num_envs * self.algorithm.rollout
        return self.env_steps // block * index // self.rounds * block


def load_baseline_config(name_or_path: str | Path) -> BaselineConfig:
    """Read a shipped config by name, or any by path; a split beside the file is named relative to it."""
    path = find_config("baselines", name_or_path)
    config = load_yaml(path, BaselineConfig)
    return replace(config, scenarios=beside(path, config.scenarios))
