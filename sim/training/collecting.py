"""Collecting a training's episodes with a controller: in its own process, or with a saved checkpoint in others."""

from __future__ import annotations

import copy
import dataclasses
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from adaptive_mbrl.adaptation.network_adapter import NetworkAdapter
from adaptive_mbrl.checkpoint import Description, load_checkpoint
from adaptive_mbrl.control.dump import StepDump
from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.planning import Score, make_planner
from adaptive_mbrl.planning.learned_reward import LearnedReward
from adaptive_mbrl.planning.learned_termination import LearnedTermination
from adaptive_mbrl.planning.value import ValueFunction
from adaptive_mbrl.process import SINGLE, Process
from adaptive_mbrl.training.config import TrainConfig
from sim.episodes.collect import Collector
from sim.robot.task import RobotTask
from sim.scenarios.distribution import ScenarioDistribution
from sim.simulation.instability import SimulationError
from sim.training.parts import Part


class LearnedParts(NamedTuple):
    """What a controller's score has that was learned beside the model; None for what it does not have."""

    value: ValueFunction | None
    reward: LearnedReward | None
    termination: LearnedTermination | None


def exploring_controller(
    config: TrainConfig,
    robot: RobotTask,
    adapter: NetworkAdapter,
    learned: LearnedParts,
    description: Description,
    *,
    seed: int,
    bonus: float,
    device: torch.device,
    dump_folder: Path,
) -> AdaptiveController:
    """The controller that a training collects with.

    Args:
        config: the configuration of the training.
        robot: the robot that is simulated.
        adapter: the model and its rules.
        learned: what the score has that was learned; copies of it are used.
        description: what a dump of a step that is not finite says about the checkpoint.
        seed: seed of the planner's noise.
        bonus: weight of the ensemble's spread of returns in the planner's score, for exploration.
        device: where to compute.
        dump_folder: where such dumps are written.
    """
    planner = make_planner(robot.spec, config.planner, seed, device)
    learned = copy.deepcopy(learned)
    for part in learned:
        if part is not None:
            part.to(device)
    reward = robot.objective_to_plan(config.shaping) or learned.reward
    assert reward is not None, "a training of a robot without an objective learns its reward"
    ends = robot.termination
    if ends is None and learned.termination is not None and learned.termination.knows_ends:
        ends = learned.termination
    score = Score(reward, planner.uncertainty_penalty - bonus, learned.value, ends, planner.risk)
    settings = ControlSettings(adapter, planner, score, precision=config.outer.precision)
    return AdaptiveController(robot.spec, settings, config.window, StepDump(dump_folder, description))


def new_collector(
    config: TrainConfig, robot: RobotTask, distribution: ScenarioDistribution, dump_folder: Path, process: Process = SINGLE
) -> Collector:
    """What collects the episodes that a training's configuration asks for; `process` shares the robots with others."""
    return Collector(
        config.data,
        robot,
        distribution,
        config.planner,
        config.window,
        config.seed,
        dump_folder,
        shaping=config.shaping,
        process=process,
    )


def collect_part(
    config: TrainConfig, robot: RobotTask, distribution: ScenarioDistribution, part: Part, checkpoint: Path, dump_folder: Path
) -> tuple[list[Episode], dict[str, Any]]:
    """Collect some episodes of an iteration with a checkpoint, on the CPU.

    Args:
        config: the configuration of the training.
        robot: the robot that is simulated.
        distribution: the distribution that training scenarios are drawn from.
        part: which episodes.
        checkpoint: folder of the checkpoint.
        dump_folder: where steps that are not finite or become unstable are written for a replay.

    Returns:
        The episodes, branches included; none if the physics of all robots became unstable. And facts about them, for the store.
    """
    begun = time.monotonic()
    loaded = load_checkpoint(checkpoint)
    is_whole = part.num == config.data.episodes_per_iteration
    seed = config.seed * 1000 + part.iteration
    controller = exploring_controller(
        config,
        robot,
        loaded.adapter,
        LearnedParts(loaded.value, loaded.learned_reward, loaded.learned_termination),
        loaded.description,
        # the same as in a training that alternates, if nobody shares the iteration
        seed=seed if is_whole else int(np.random.default_rng([config.seed, part.iteration, 5, part.first]).integers(2**31)),
        bonus=config.data.bonus_in(part.iteration),
        device=torch.device("cpu"),
        dump_folder=dump_folder,
    )
    about: dict[str, Any] = {"part": dataclasses.asdict(part), "updates": loaded.description.provenance["updates"]}
    collector = new_collector(config, robot, distribution, dump_folder)
    try:
        collected = collector.on_policy(part.iteration, controller, None if is_whole else part.numbers)
    except SimulationError as error:
        # one part of many: the others may be stable
        tqdm.write(f"{part}: {error}")
        return [], about | {"seconds": time.monotonic() - begun}
    return collected.episodes, about | {"scalars": collected.scalars, "seconds": time.monotonic() - begun}
