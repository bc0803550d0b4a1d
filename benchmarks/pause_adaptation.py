"""Does a pause of adapting cost return, and how often does a healthy belief swing to and fro?

Usage: python benchmarks/pause_adaptation.py [ROBOT...] [--episodes 4] [--out docs/results/pause_adaptation.json]

Each robot runs under its shipped checkpoint, in process, so that the machine does not matter. Its dynamics change in mid-episode,
as its split `anything` draws them for the validation part. Each episode runs once for each limit of excitation below which
adapting pauses, with the same random numbers; 0 never pauses. The turns of the belief are those of the episodes without a pause.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from adaptive_mbrl.canary import read_canary
from adaptive_mbrl.checkpoint import find_checkpoint
from adaptive_mbrl.controller import StepInfo, StepOptions
from adaptive_mbrl.storage import write_text_atomically
from benchmarks.bridge_machine import machine
from robot_bridge.control.adaptation_pause import RESUME_FACTOR
from robot_bridge.control.belief_view import BeliefView
from robot_bridge.control.excitation import Excitation
from robot_bridge.robot_files import training_range
from robot_bridge.safety.belief_swings import BeliefSwings
from robot_bridge.safety.config import BeliefSwingsConfig
from sim.episodes.policies import ControllerPolicy, load_controller
from sim.episodes.run import run_scenarios
from sim.robot.robot import load_robot
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario

ROBOTS = ("cartpole", "half_cheetah", "arm", "quadrotor")
LIMITS = (0.0, 0.05)
STDS = (1.0, 2.0, 3.0, 4.0)
SECONDS = 4.0
"""The time in which turns are counted [s]."""


class PausingPolicy(ControllerPolicy):
    """A controller of one robot whose adapting pauses while the robot hardly moves.

    Attributes:
        paused: for each step, whether adapting paused.
        beliefs: where the belief was at each step, (DIRECTIONS,).
    """

    def __init__(self, controller: Any, view: BeliefView, limit: float) -> None:
        super().__init__(controller)
        self._view, self._limit = view, limit
        self._excitation = Excitation(controller.spec, training_range(controller).std, round(1.0 / controller.spec.dt))
        self.paused: list[bool] = []
        self.beliefs: list[NDArray[np.float64]] = []

    def act(self, obs: Any, goal: Any, sent: Any) -> tuple[Any, StepInfo]:
        if sent is not None:
            self._excitation.add(obs[0].astype(np.float64), np.asarray(sent[0], dtype=np.float64))
        was_paused = bool(self.paused and self.paused[-1])
        self.paused.append(self._excitation.value < self._limit * (RESUME_FACTOR if was_paused else 1.0))
        command = self.controller.step(obs, goal, StepOptions(sent=sent, freeze=self.paused[-1]))
        self.beliefs.append(self._view(self.controller.belief))
        return command.action, command.info


def main(
    robots: tyro.conf.Positional[tuple[str, ...]] = ROBOTS,
    episodes: int = 4,
    seed: int = 900,
    out: Path = Path("docs/results/pause_adaptation.json"),
) -> None:
    """Run the episodes of each robot, once with each limit.

    Args:
        robots: robots with a shipped checkpoint.
        episodes: number of episodes.
        seed: seed of the first episode.
        out: JSON file for the figures.
    """
    report: dict[str, Any] = {"episodes": episodes, "seed": seed, "pause_adaptation": {}}
    for robot in robots:
        report["pause_adaptation"][robot] = run(robot, episodes, seed)
        print(robot, json.dumps(report["pause_adaptation"][robot]), flush=True)
        write_text_atomically(out, json.dumps({**report, "machine": machine()}, indent=1) + "\n")


def run(name: str, episodes: int, seed: int) -> dict[str, Any]:
    """Returns and pauses of one robot, and the turns of its belief."""
    robot, split = load_robot(name), load_scenario(f"{name}/anything:validation")
    if isinstance(split, Scenario):
        raise TypeError(f"{name}/anything:validation is a single scenario")
    controller, canary = load_controller(name, robot), read_canary(find_checkpoint(name))
    if canary is None:
        raise TypeError(f"{name}: no canary")
    view = BeliefView(controller.settings.adapter, canary)
    found: dict[str, Any] = {"limits": {}, "most_turns": {}}
    for limit in LIMITS:
        returns, shares, policies = [], [], []
        for scenario in split.episodes(episodes, seed):
            policy = PausingPolicy(controller, view, limit)
            policy.seed(seed)
            (episode,) = run_scenarios(robot, [scenario], policy, source="policy").episodes
            returns.append(round(float(episode.reward.sum()), 1))
            shares.append(round(float(np.mean(policy.paused)), 3))
            policies.append(policy)
        found["limits"][str(limit)] = {"returns": returns, "mean": round(float(np.mean(returns)), 1), "paused_share": shares}
        if limit == 0.0:
            found["most_turns"] = {
                str(stds): [most_turns(p.beliefs, stds, controller.spec.dt) for p in policies] for stds in STDS
            }
    return found


def most_turns(beliefs: list[NDArray[np.float64]], stds: float, dt: float) -> int:
    """The largest number of turns within `SECONDS` of an episode."""
    swings = BeliefSwings(BeliefSwingsConfig(stds=stds, turns=1000, seconds=SECONDS), dt)
    most = 0
    for belief in beliefs:
        swings.look(belief)
        most = max(most, swings.turns)
    return most


if __name__ == "__main__":
    tyro.cli(main)
