"""How much could adaptation gain at most? The multi-task network, once with the true actuator gains multiplied into its actions.

Usage: python benchmarks/adaptation_ceiling.py [RUN] [--updates N] [--out FILE]

Three models with the network of a finished run are fitted to its episodes for the same number of updates. The run's changes must
be actuator gains; branches are left out, since which change was in force is not recorded.

    multitask   nothing about the change is known
    adaptive    the run's adaptation rule has to find it out from the last K transitions
    known       the actions are multiplied by the true gains: perfect knowledge of the change

Printed is the error on the run's held-out episodes. The distance from `multitask` to `known` is what there is to gain.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import tyro

from adaptive_mbrl.adaptation import make_adapter
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.training.config import TrainConfig
from sim.robot.robot import Robot, load_robot
from sim.scenarios.change import Change, scale_vector
from sim.scenarios.loading import parse_scenario

FIGURES = ("adapted_loss", "adapted_error_1_steps", "adapted_error_5_steps", "adapted_error_10_steps")


def main(
    run: tyro.conf.Positional[Path] = Path("runs/train/half_cheetah"),
    updates: int = 3000,
    out: Path = Path("docs/results/adaptation_ceiling.json"),
) -> None:
    """Fit the three models and compare them.

    Args:
        run: folder of a finished training run.
        updates: outer steps of each fit.
        out: where the figures go.
    """
    config = load_yaml(run / "config.yaml", TrainConfig)
    store = EpisodeStore.open(run / "episodes")
    robot = load_robot(store.spec.name)
    trunk = [e for e in store.episodes if e.tags["source"] != "branch"]
    known = [with_true_gains(e, robot) for e in trunk]
    plain = replace(config, adaptation=(NoneConfig(),))
    figures = {
        name: fitted(robot, settings, episodes, updates)
        for name, settings, episodes in (("multitask", plain, trunk), ("adaptive", config, trunk), ("known", plain, known))
    }
    report = {"run": str(run), "updates": updates, "episodes": len(trunk), "models": figures}
    write_text_atomically(out, json.dumps(report, indent=2) + "\n")
    for name, values in figures.items():
        print(name, {k: round(v, 4) for k, v in values.items()})


def with_true_gains(episode: Episode, robot: Robot) -> Episode:
    """The episode as if the change were known: actions times the actuators' present gains."""
    scenario = parse_scenario(episode.tags["scenario"], Path("episode"))
    gains = []
    for t in range(len(episode)):
        change = scenario.change_in_force(t)
        if replace(change, actuator_gain=1.0) != Change():
            raise ConfigError(f"episode: changes other than actuator_gain: {change.to_changes()}")
        gains.append(scale_vector(change.actuator_gain, robot.spec.action_dim, robot.elements.actuators))
    return replace(episode, action=(episode.action * np.stack(gains)).astype(np.float32))


def fitted(robot: Robot, config: TrainConfig, episodes: list[Episode], updates: int) -> dict[str, float]:
    """Fit on the training episodes; figures on the held-out ones."""
    adapter = make_adapter(DynamicsModel(robot.spec, config.model, config.seed), config.adaptation, config.window)
    trainer = MetaTrainer(adapter, config.outer, config.seed)
    training, held_out = ([e for e in episodes if e.tags["validation"] is wanted] for wanted in (False, True))
    dataset = EpisodeDataset(robot.spec, training, held_out, config.window, config.outer.query)
    trainer.fit(dataset, updates)
    scalars = trainer.validate(dataset)
    return {name: scalars[f"validation/{name}"] for name in FIGURES}


if __name__ == "__main__":
    tyro.cli(main)
