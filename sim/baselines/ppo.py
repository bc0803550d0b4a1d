"""Proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347), by Stable-Baselines3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from adaptive_mbrl.config import bounded

if TYPE_CHECKING:
    from gymnasium.spaces import Box
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.policies import BasePolicy
    from stable_baselines3.common.vec_env import VecEnv


@dataclass(frozen=True)
class PPOConfig:
    """Settings of PPO; what is not listed has Stable-Baselines3's default.

    Attributes:
        rollout: number of steps of each robot between two updates.
        minibatch: number of steps in a gradient step.
        epochs: how often each step is used in an update.
        learning_rate: learning rate of Adam.
        gamma: discount factor.
        gae_lambda: decay of generalised advantage estimation.
        entropy: weight of the entropy bonus.
        hidden: sizes of the hidden layers of the policy and of the value function.
        log_std: logarithm of the policy's standard deviation at the start [half ranges of the actions].
    """

    TAG: ClassVar[str] = "ppo"
    last_action: ClassVar[bool] = False
    normalize_reward: ClassVar[bool] = True

    rollout: int = bounded(128, low=2)
    minibatch: int = bounded(128, low=2)
    epochs: int = bounded(10, low=1)
    learning_rate: float = bounded(3e-4, low=0.0)
    gamma: float = bounded(0.99, low=0.0, high=1.0)
    gae_lambda: float = bounded(0.95, low=0.0, high=1.0)
    entropy: float = bounded(0.0, low=0.0)
    hidden: tuple[int, ...] = (64, 64)
    log_std: float = 0.0

    def policy(self, observation: Box, action: Box) -> BasePolicy:
        """A new policy for these spaces."""
        from stable_baselines3.common.policies import ActorCriticPolicy

        return ActorCriticPolicy(observation, action, lambda _: self.learning_rate, **self._policy_settings())

    def learner(self, env: VecEnv, total_steps: int, seed: int, device: str) -> BaseAlgorithm:
        """A new learner on `env`."""
        from stable_baselines3 import PPO

        return PPO(
            "MlpPolicy",
            env,
            learning_rate=self.learning_rate,
            n_steps=self.rollout,
            batch_size=self.minibatch,
            n_epochs=self.epochs,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            ent_coef=self.entropy,
            policy_kwargs=self._policy_settings(),
            seed=seed,
            device=device,
        )

    def _policy_settings(self) -> dict[str, Any]:
        return {"net_arch": list(self.hidden), "log_std_init": self.log_std}
