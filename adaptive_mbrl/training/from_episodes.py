"""Meta-training from recorded episodes alone: no simulator is loaded, and the robot is the one that recorded them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.objective import Objective
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.training.card import summary, write_card
from adaptive_mbrl.training.comparison import compare
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.given_episodes import folder_of_episodes, given_episodes
from adaptive_mbrl.training.run import Training, new_value
from adaptive_mbrl.training.run_folder import claimed


def train_from_episodes(config: TrainConfig, run: Path, device: torch.device | str = "cpu") -> Path:
    """Run or resume a training on the episodes that `data.episodes_from` names.

    Args:
        config: the configuration of the run; it has no `scenarios`.
        run: the run folder; a new one is made, an existing one must be of the same run.
        device: where the model is trained.

    Returns:
        The folder of the final checkpoint.

    Raises:
        ConfigError: the configuration names no episodes, or its objective does not fit their channels.
        CheckpointError: the episodes are damaged.
    """
    if config.data.episodes_from is None:
        raise ConfigError("key 'data.episodes_from': missing; a training without a simulator needs recorded episodes")
    spec = EpisodeStore.check(folder_of_episodes(config.data.episodes_from))
    objective = _objective(config, spec)
    given = given_episodes(config, spec)
    # what cannot be trained begins no run
    new_value(config, spec, objective)
    revision = git_revision() or "unknown"
    with claimed(run, config, {}, revision):
        training = Training(config, run, spec, objective, torch.device(device), revision, given)
        try:
            return training.run()
        finally:
            training.recorder.close()


def train_and_compare(config: TrainConfig, run: Path, device: torch.device | str = "cpu") -> Path:
    """Run or resume a training on recorded episodes, then one of the multi-task model on the same, and compare the two.

    The multi-task model has the same network, episodes and number of updates; its run is in the folder `multitask` of the run.
    The comparison on the held-out episodes is printed, and written into the checkpoint's README.md. Without held-out episodes, or
    if `config` does not adapt, nothing is compared.

    Args:
        config: see `train_from_episodes`.
        run: the run folder.
        device: where the models are trained.

    Returns:
        The folder of the checkpoint that adapts.
    """
    checkpoint = train_from_episodes(config, run, device)
    trained = load_checkpoint(checkpoint)
    store = given_episodes(config, trained.description.spec)
    assert store is not None
    training = [e for e in store.episodes if not e.tags.get("validation")]
    held_out = [e for e in store.episodes if e.tags.get("validation")]
    comparison = None
    if held_out and not trained.description.is_multitask:
        print("Multi-task model, for comparison:")
        multitask = train_from_episodes(dataclasses.replace(config, adaptation=(NoneConfig(),)), run / "multitask", device)
        other = load_checkpoint(multitask)
        comparison = compare(trained.adapter, other.adapter, held_out, config.window, config.outer.query)
    write_card(checkpoint, trained.description, training, held_out, comparison)
    print("Nothing was held out or long enough to compare on." if comparison is None else summary(comparison))
    return checkpoint


def _objective(config: TrainConfig, spec: RobotSpec) -> Objective | None:
    if not config.objective:
        return None
    try:
        return Objective(spec, config.objective, config.goal_names)
    except ConfigError as error:
        raise ConfigError(f"key 'objective': {error}") from error
