"""Meta-training from recorded episodes alone: no simulator is loaded, and the robot is the one that recorded them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import torch

from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.data.dataset import require_finite
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.stored_objective import OBJECTIVE_FILE, load_objective
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.reward_fit import require_rewards
from adaptive_mbrl.objective import Objective
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.training.card import summary, write_card
from adaptive_mbrl.training.comparison import COMPARISON_FILE, Comparison, compare, save_comparison
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.execution import Execution
from adaptive_mbrl.training.given_episodes import files_of_recordings, folder_of_episodes, given_episodes
from adaptive_mbrl.training.report.reporter import Reporter
from adaptive_mbrl.training.run import Training, new_value
from adaptive_mbrl.training.run_folder import MULTITASK, claimed_by_all


def train_from_episodes(
    config: TrainConfig,
    run: Path,
    device: torch.device | str = "cpu",
    execution: Execution = Execution(),  # noqa: B008
) -> Path:
    """Run or resume a training on the episodes that `data.episodes_from` names.

    Args:
        config: the configuration of the run; it has no `scenarios`.
        run: the run folder; a new one is made, an existing one must be of the same run.
        device: where the model is trained.
        execution: how the training is carried out.

    Returns:
        The folder of the final checkpoint.

    Raises:
        ConfigError: the configuration names no episodes, or its objective does not fit their channels.
        CheckpointError: the episodes are damaged.
    """
    return _train(_recordings(config, run), config, run, torch.device(device), execution)


def train_and_compare(
    config: TrainConfig,
    run: Path,
    device: torch.device | str = "cpu",
    execution: Execution = Execution(),  # noqa: B008
) -> Path:
    """Run or resume a training on recorded episodes, then one of the multi-task model on the same, and compare the two.

    The multi-task model has the same network, episodes and number of updates; its run is in the folder `multitask` of the run.
    The comparison on the held-out episodes is printed, and written into the checkpoint's README.md. Without held-out episodes, or
    if `config` does not adapt, nothing is compared.

    Args:
        config: see `train_from_episodes`.
        run: the run folder.
        device: where the models are trained.
        execution: how the trainings are carried out.

    Returns:
        The folder of the checkpoint that adapts.
    """
    recordings = _recordings(config, run)
    checkpoint = _train(recordings, config, run, torch.device(device), execution)
    trained = load_checkpoint(checkpoint)
    training = [e for e in recordings.store.episodes if not e.tags.get("validation")]
    held_out = [e for e in recordings.store.episodes if e.tags.get("validation")]
    comparison = None
    if held_out and not trained.description.is_multitask:
        execution.process.say("Multi-task model, for comparison:")
        plain = dataclasses.replace(config, adaptation=(NoneConfig(),))
        other = load_checkpoint(_train(recordings, plain, run / MULTITASK, torch.device(device), execution))
        comparison = compare(trained.adapter, other.adapter, held_out, config.window, config.outer.query)
    if execution.process.is_main:
        write_card(checkpoint, trained.description, training, held_out, comparison)
        if comparison is not None:
            save_comparison(run / COMPARISON_FILE, comparison)
        reporter = Reporter(run, config, execution.report, torch.device(device), execution.process.world_size)
        reporter.write(recordings.store, None, is_done=True)
    execution.process.say(_result(comparison, bool(held_out), trained.description.is_multitask))
    return checkpoint


class _Recordings(NamedTuple):
    """What a training is given, and the copies that say so in its folder."""

    store: EpisodeStore
    files: dict[str, str]


def _recordings(config: TrainConfig, run: Path) -> _Recordings:
    if config.data.episodes_from is None:
        raise ConfigError("key 'data.episodes_from': missing; a training without a simulator needs recorded episodes")
    folder = folder_of_episodes(config.data.episodes_from)
    spec = EpisodeStore.check(folder)
    files = files_of_recordings(config, run)
    stored = folder / OBJECTIVE_FILE
    if not config.objective and config.learned_reward is None and stored.is_file():
        # what the checkpoint is rewarded for must not change while the run is interrupted
        files |= {OBJECTIVE_FILE: stored.read_text(encoding="utf-8")}
    store = given_episodes(config, spec, files)
    assert store is not None
    require_finite(store.episodes)
    if config.learned_reward is not None:
        require_rewards(store.episodes)
    return _Recordings(store, files)


def _train(recordings: _Recordings, config: TrainConfig, run: Path, device: torch.device, execution: Execution) -> Path:
    spec = recordings.store.spec
    objective = _objective(config, spec)
    # what cannot be trained begins no run
    new_value(config, spec, objective)
    revision = git_revision() or "unknown"
    with claimed_by_all(execution.process, run, config, recordings.files, revision):
        training = Training(config, run, spec, objective, device, revision, recordings.store, execution)
        try:
            return training.run()
        finally:
            training.recorder.close()


def _result(comparison: Comparison | None, anything_held_out: bool, is_multitask: bool) -> str:
    if comparison is not None:
        return summary(comparison)
    if is_multitask:
        return "Nothing was compared, because this model is the multi-task model."
    if anything_held_out:
        return "Nothing was compared, because no held-out episode is long enough."
    return "Nothing was compared, because no episode is held out."


def _objective(config: TrainConfig, spec: RobotSpec) -> Objective | None:
    if config.learned_reward is not None:
        return None
    if not config.objective:
        assert config.data.episodes_from is not None
        return load_objective(folder_of_episodes(config.data.episodes_from), spec)
    try:
        return Objective(spec, config.objective, config.goal_names)
    except ConfigError as error:
        raise ConfigError(f"key 'objective': {error}") from error
