"""Sensors that lie, seen by the checks of the bridge: how soon are they told, and how often is a healthy robot told?

Usage: python -m benchmarks.sensor_faults [ROBOT...] [--healthy 32] [--lying 8] [--propose] [--out FILE]

Each robot runs under its shipped checkpoint, in process, so that the machine does not matter. Its dynamics change in mid-episode,
as its split `anything` draws them. Episodes of the train part are those that limits are chosen from (`--propose` prints them).
Episodes of the validation part are those that the limits of the bridge file are checked on. In each episode but the healthy ones
a channel begins to lie at a random step, another one in each episode:

    none      nothing lies: everything that is told is a false alarm
    frozen    it keeps its value
    jump      its value is wrong by half a range of the training data from then on
    drift     its value moves away by a fiftieth of such a range in each control period
    reversed  a velocity has the wrong sign

The controller sees the lie and acts on it. What was observed is kept in `--folder`, so that a run that was interrupted goes on,
and so that other limits need no new episodes. Robots may be measured by several processes at once.

To say with 95 % that a false alarm comes less than once an hour takes 3.7 hours without one, which are 832 episodes of the
cart-pole: about half an hour for it on one core, and about two hours for each of the others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from adaptive_mbrl.controller import StepInfo
from adaptive_mbrl.storage import write_text_atomically
from benchmarks.bridge_machine import machine
from benchmarks.sensor_fault_figures import Looked, figures, proposed_limits
from robot_bridge.bridge_config import BridgeConfig, load_bridge_config
from robot_bridge.robot_files import training_range
from sim.episodes.policies import ControllerPolicy, load_controller
from sim.episodes.run import run_scenarios
from sim.paths import find_config
from sim.robot.robot import load_robot
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario

ROBOTS = ("cartpole", "half_cheetah", "arm", "quadrotor")
LIES = ("none", "frozen", "jump", "drift", "reversed")
FIRST = 60
"""The first step at which a channel may begin to lie."""
SEEDS = {"train": 900, "validation": 1900}
"""Seed of the first episode of each part."""


@dataclass(frozen=True)
class Lie:
    """What lies in which episode.

    Attributes:
        kind: one of `LIES`.
        channel: the channel that lies, by robot, (B,).
        begin: the step at which it begins, by robot, (B,).
        reach: half a range of the training data, by channel, (obs_dim,).
    """

    kind: str
    channel: NDArray[np.int64]
    begin: NDArray[np.int64]
    reach: NDArray[np.float64]


class LyingPolicy:
    """A controller whose observations lie from some step on.

    Args:
        policy: the controller.
        lie: what lies.

    Attributes:
        seen: the observations that the controller saw, (B, obs_dim) for each step.
        changes: how each channel changed, in the same shape [target stds].
        innovations: what of this the model had not predicted.
    """

    def __init__(self, policy: ControllerPolicy, lie: Lie) -> None:
        self._policy, self._lie, self.preview = policy, lie, policy.preview
        self.seen: list[NDArray[np.float32]] = []
        self.changes: list[NDArray[np.float32]] = []
        self.innovations: list[NDArray[np.float32]] = []
        self._kept = np.zeros(len(lie.channel))

    def reset(self, simulation: Any) -> None:
        self._policy.reset(simulation)

    def act(self, obs: Any, goal: Any, sent: Any) -> tuple[Any, StepInfo]:
        seen = np.array(obs, dtype=np.float32)
        if self._lie.kind != "none":
            for robot, channel in enumerate(self._lie.channel):
                seen[robot, channel] = self._lied(float(obs[robot, channel]), robot, int(channel))
        actions, info = self._policy.act(seen, goal, sent)
        self.seen.append(seen)
        self.changes.append(np.array(info.change, dtype=np.float32))
        self.innovations.append(np.array(info.innovation, dtype=np.float32))
        return actions, info

    def _lied(self, true: float, robot: int, channel: int) -> float:
        since = len(self.seen) - int(self._lie.begin[robot])
        if since < 0:
            self._kept[robot] = true
            return true
        reach = float(self._lie.reach[channel])
        wrong = {"jump": true + reach, "drift": true + 0.04 * since * reach, "reversed": -true}
        return wrong.get(self._lie.kind, float(self._kept[robot]))


def main(
    robots: tyro.conf.Positional[tuple[str, ...]] = ROBOTS,
    healthy: int = 32,
    lying: int = 8,
    batch: int = 32,
    propose: bool = False,
    folder: Path = Path("runs/sensor_faults"),
    out: Path = Path("docs/results/sensor_faults.json"),
) -> None:
    """Run the episodes of each robot, once with each lie, and look at them with the limits of its bridge file.

    Args:
        robots: robots with a shipped checkpoint and a bridge file.
        healthy: number of healthy episodes of each part.
        lying: number of episodes with each lie.
        batch: number of episodes that run at once.
        propose: print limits that the healthy episodes of the train part ask for, and stop there.
        folder: where what was observed is kept.
        out: JSON file for the figures; figures of other robots in it stay.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for robot in robots:
        config = load_bridge_config(find_config("bridge", robot))
        if propose:
            looked = [look for b in batches(healthy, batch) for look in observed(robot, config, "train", "none", *b, folder)]
            print(robot, json.dumps(proposed_limits(looked, load_robot(robot).spec, config.safety)), flush=True)
            continue
        sizes = {lie: batches(healthy if lie == "none" else lying, batch) for lie in LIES}
        kinds = {lie: [o for b in sizes[lie] for o in observed(robot, config, "validation", lie, *b, folder)] for lie in LIES}
        # another process may have written what it found of other robots
        report = json.loads(out.read_text()) if out.exists() else {"sensor_faults": {}}
        report["sensor_faults"][robot] = figures(kinds, load_robot(robot).spec, config.safety)
        write_text_atomically(out, json.dumps({**report, "machine": machine()}, indent=1) + "\n")
        print(robot, json.dumps(report["sensor_faults"][robot]), flush=True)


def batches(episodes: int, size: int) -> list[tuple[int, int]]:
    """The first episode and the number of episodes of each batch."""
    return [(first, min(size, episodes - first)) for first in range(0, episodes, size)]


def observed(name: str, config: BridgeConfig, part: str, lie: str, first: int, episodes: int, folder: Path) -> list[Looked]:
    """What was observed in these episodes, from the folder or by running them."""
    kept = folder / f"{name}_{part}_{lie}_{first}_{episodes}.npz"
    if not kept.exists():
        run(name, config, part, lie, first, episodes, kept)
    with np.load(kept) as found:
        return [
            Looked(*(found[key][:length, i] for key in ("seen", "changes", "innovations")), int(found["begin"][i]), int(channel))
            for i, (length, channel) in enumerate(zip(found["lengths"], found["channel"], strict=True))
        ]


def run(name: str, config: BridgeConfig, part: str, kind: str, first: int, episodes: int, kept: Path) -> None:
    """Run episodes, and keep what was observed."""
    robot, split = load_robot(name), load_scenario(f"{name}/anything:{part}")
    if isinstance(split, Scenario):
        raise TypeError(f"{name}/anything:{part} is a single scenario")
    seed = SEEDS[part] + first
    scenarios = split.episodes(episodes, seed)
    controller = load_controller(name, robot)
    rng, spec = np.random.default_rng([seed, LIES.index(kind)]), controller.spec
    may_lie = np.array([spec.obs_index(p.velocity) for p in config.safety.derivatives.values()], dtype=np.int64)
    if kind != "reversed" or not len(may_lie):
        may_lie = np.arange(spec.obs_dim)
    channel = may_lie[(first + np.arange(episodes)) * max(1, len(may_lie) // episodes) % len(may_lie)]
    begin = rng.integers(FIRST, scenarios[0].steps - FIRST, episodes)
    lie = Lie(kind, channel, begin, 2.0 * training_range(controller).std)
    policy = LyingPolicy(ControllerPolicy(controller), lie)
    recorded = run_scenarios(robot, scenarios, policy, source="policy")
    content = {"seen": policy.seen, "changes": policy.changes, "innovations": policy.innovations}
    lengths = np.array([len(episode) for episode in recorded.episodes])
    half = kept.with_suffix(".half.npz")
    np.savez_compressed(half, begin=begin, channel=channel, lengths=lengths, **{k: np.array(v) for k, v in content.items()})
    half.replace(kept)


if __name__ == "__main__":
    tyro.cli(main)
