"""What running scenarios leaves behind: episodes, what the controller reported, and snapshots on the way."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.controller import StepInfo
from adaptive_mbrl.data.episode import Episode
from sim.simulation.instability import Instability
from sim.simulation.state import SimulationState

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ControllerLog:
    """What the controller of B robots reported at each of T control steps.

    A robot whose episode has ended is still reported on: its rows after the end say nothing.

    Attributes:
        adapted_error: one-step error of the adapted belief, (T, B); NaN on the first step.
        prior_error: one-step error of the prior, (T, B); NaN on the first step.
        fell_back: whether the plan was made under the prior, because the belief had been predicting worse, (T, B).
        adapt_seconds: computing time of adaptation [s], (T,).
        plan_seconds: computing time of planning [s], (T,).
        diagnosis: mean and std of each physical parameter, (T, B, 2, L); L is 0 where the checkpoint has no diagnosis.
        sign: +1 for each action, -1 where its motor was believed to be wired backwards, (T, B, action_dim).
    """

    adapted_error: Array
    prior_error: Array
    fell_back: NDArray[np.bool_]
    adapt_seconds: Array
    plan_seconds: Array
    diagnosis: Array
    sign: Array

    @classmethod
    def of(cls, infos: Sequence[StepInfo]) -> ControllerLog:
        """Stack the reports of T steps."""
        return cls(
            np.stack([i.adapted_error for i in infos]),
            np.stack([i.prior_error for i in infos]),
            np.stack([i.fell_back for i in infos]),
            np.array([i.adapt_seconds for i in infos]),
            np.array([i.plan_seconds for i in infos]),
            np.stack([i.diagnosis for i in infos]),
            np.stack([i.sign for i in infos]),
        )

    @classmethod
    def joined(cls, parts: Sequence[ControllerLog]) -> ControllerLog:
        """One log of all robots; a step took as long as in the slowest part."""
        return cls(
            np.concatenate([p.adapted_error for p in parts], axis=1),
            np.concatenate([p.prior_error for p in parts], axis=1),
            np.concatenate([p.fell_back for p in parts], axis=1),
            np.max([p.adapt_seconds for p in parts], axis=0),
            np.max([p.plan_seconds for p in parts], axis=0),
            np.concatenate([p.diagnosis for p in parts], axis=1),
            np.concatenate([p.sign for p in parts], axis=1),
        )

    def select(self, robots: Sequence[int]) -> ControllerLog:
        """The reports on some of the robots; computing times stay those of the whole batch."""
        rows = list(robots)
        return ControllerLog(
            self.adapted_error[:, rows],
            self.prior_error[:, rows],
            self.fell_back[:, rows],
            self.adapt_seconds,
            self.plan_seconds,
            self.diagnosis[:, rows],
            self.sign[:, rows],
        )


@dataclass(frozen=True)
class Recorded:
    """Episodes of B robots that ran side by side.

    Attributes:
        episodes: one episode per robot; that of a robot which fell ends with that step, that of one which became unstable holds
            the steps before.
        log: what the controller reported; None for a policy that reports nothing.
        snapshots: simulation states of all B robots at the steps asked for, by step.
        instabilities: how the physics of each robot became unstable, None where it did not, B of them.
    """

    episodes: tuple[Episode, ...]
    log: ControllerLog | None
    snapshots: dict[int, SimulationState]
    instabilities: tuple[Instability | None, ...]

    @classmethod
    def joined(cls, parts: Sequence[Recorded]) -> Recorded:
        """What several processes recorded at the same steps, as if one had simulated the robots of all."""
        if len(parts) == 1:
            return parts[0]
        logs = [p.log for p in parts if p.log is not None]
        return cls(
            tuple(itertools.chain.from_iterable(p.episodes for p in parts)),
            ControllerLog.joined(logs) if logs else None,
            {step: SimulationState.joined([p.snapshots[step] for p in parts]) for step in parts[0].snapshots},
            tuple(itertools.chain.from_iterable(p.instabilities for p in parts)),
        )

    def running_at(self, step: int) -> list[int]:
        """The robots whose episode had not ended before control step `step`."""
        return [i for i, episode in enumerate(self.episodes) if len(episode) > step]

    def while_running(self, reported: NDArray[Any]) -> NDArray[Any]:
        """What a controller reported at the steps of the episodes, one value after another; `reported` is (T, B)."""
        lengths = np.array([len(episode) for episode in self.episodes])
        return reported[np.arange(len(reported))[:, None] < lengths]

    def select(self, robots: Sequence[int]) -> Recorded:
        """What was recorded of some of the robots."""
        if list(robots) == list(range(len(self.episodes))):
            return self
        return Recorded(
            tuple(self.episodes[i] for i in robots),
            None if self.log is None else self.log.select(robots),
            {step: snapshot.select(robots) for step, snapshot in self.snapshots.items()},
            tuple(self.instabilities[i] for i in robots),
        )

    def without_unstable(self, say: Callable[[str], None]) -> Recorded:
        """What was recorded of the robots whose physics was stable to the end; perhaps of none.

        Args:
            say: called for every robot that is left out, with a line that says which one and why.
        """
        stable = []
        for i, instability in enumerate(self.instabilities):
            if instability is None:
                stable.append(i)
            else:
                say(f"episode {i} (seed {self.episodes[i].tags['scenario']['seed']}): {instability}")
        return self.select(stable)
