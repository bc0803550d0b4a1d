"""How large a first training is: sized for a small machine, by the number of channels."""

from __future__ import annotations

from dataclasses import dataclass

from sim.init.draft import Timing

_SMALL, _LARGE = 16, 40
"""Up to so many observation channels a robot is a small one; beyond so many, a large one."""


@dataclass(frozen=True)
class TrainingSize:
    """The numbers of a training that its file has.

    Attributes:
        width: width of each of the three hidden layers.
        members: size of the ensemble.
        horizon: control periods that planners look ahead.
        noise_beta: colour of the planners' noise.
        num_samples: candidates of the controller's planner.
        oracle_samples: candidates of the oracle's planner.
        steps: control steps of an episode.
        random_episodes: episodes with random actions.
        oracle_episodes: episodes of the oracle.
        iterations: rounds that collect with the controller.
        episodes_per_iteration: episodes of each of them.
        updates_initial: outer steps of the first round.
        updates_per_iteration: outer steps of each later round.
        updates_final: outer steps of the last round.
        meta_batch_size: windows per outer step.
    """

    width: int
    members: int
    horizon: int
    noise_beta: float
    num_samples: int = 64
    oracle_samples: int = 32
    steps: int = 200
    random_episodes: int = 16
    oracle_episodes: int = 12
    iterations: int = 2
    episodes_per_iteration: int = 12
    updates_initial: int = 800
    updates_per_iteration: int = 400
    updates_final: int = 1200
    meta_batch_size: int = 64

    @property
    def env_steps(self) -> int:
        """Control steps of all episodes."""
        episodes = self.random_episodes + self.oracle_episodes + self.iterations * self.episodes_per_iteration
        return episodes * self.steps

    @property
    def oracle_steps(self) -> int:
        """Control steps that the oracle simulates."""
        return self.oracle_episodes * self.steps * self.oracle_samples * 2 * self.horizon

    @property
    def updates(self) -> int:
        """Outer steps in all."""
        return self.updates_initial + self.iterations * self.updates_per_iteration + self.updates_final


def size_of(num_channels: int, timing: Timing, *, walks: bool) -> TrainingSize:
    """A training for a robot with so many observation channels; `walks` for one that gets ahead on legs or wheels."""
    noise_beta = 0.0 if walks else 1.0
    if num_channels <= _SMALL:
        return TrainingSize(width=128, members=3, horizon=timing.horizon, noise_beta=noise_beta)
    return TrainingSize(
        width=192 if num_channels <= _LARGE else 256,
        members=3,
        horizon=timing.horizon,
        noise_beta=noise_beta,
        random_episodes=24,
        oracle_episodes=24,
        iterations=4,
        episodes_per_iteration=20,
        updates_initial=1500,
        updates_per_iteration=800,
        updates_final=3000,
        meta_batch_size=96,
    )
