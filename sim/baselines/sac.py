"""Soft actor-critic (Haarnoja et al. 2018, arXiv 1812.05905), by Stable-Baselines3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from adaptive_mbrl.config import bounded

if TYPE_CHECKING:
    from gymnasium.spaces import Box
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.policies import BasePolicy
    from stable_baselines3.common.vec_env import VecEnv


@dataclass(frozen=True)
class SACConfig:
    """Settings of SAC; what is not listed has Stable-Baselines3's default.

    Attributes:
        updates_per_step: number of gradient steps for each env step, rounded to at least one for each step of all robots.
        batch: number of transitions in a gradient step.
        learning_rate: learning rate of Adam.
        gamma: discount factor.
        tau: how fast the target network follows.
        random_steps: number of env steps at the start whose actions are drawn at random.
        buffer: the largest number of transitions that are kept.
        hidden: sizes of the hidden layers of the policy and of the critics.
    """

    TAG: ClassVar[str] = "sac"
    last_action: ClassVar[bool] = False
    normalize_reward: ClassVar[bool] = False
    rollout: ClassVar[int] = 1

    updates_per_step: float = bounded(1.0, low=0.0)
    batch: int = bounded(256, low=1)
    learning_rate: float = bounded(3e-4, low=0.0)
    gamma: float = bounded(0.99, low=0.0, high=1.0)
    tau: float = bounded(0.005, low=0.0, high=1.0)
    random_steps: int = bounded(1000, low=0)
    buffer: int = bounded(1_000_000, low=1)
    hidden: tuple[int, ...] = (256, 256)

    def policy(self, observation: Box, action: Box) -> BasePolicy:
        """A new policy for these spaces."""
        from stable_baselines3.sac.policies import SACPolicy

        return SACPolicy(observation, action, lambda _: self.learning_rate, net_arch=list(self.hidden))

    def learner(self, env: VecEnv, total_steps: int, seed: int, device: str) -> BaseAlgorithm:
        """A new learner on `env`."""
        from stable_baselines3 import SAC

        return SAC(
            "MlpPolicy",
            env,
            learning_rate=self.learning_rate,
            buffer_size=min(self.buffer, total_steps),
            learning_starts=self.random_steps,
            batch_size=self.batch,
            tau=self.tau,
            gamma=self.gamma,
            gradient_steps=max(1, round(self.updates_per_step * env.num_envs)),
            policy_kwargs={"net_arch": list(self.hidden)},
            seed=seed,
            device=device,
        )
