"""Fine-tuning: the outer loop goes on from a checkpoint, on recorded episodes of one robot. The sub-command `fine-tune`.

The normalizer stays the checkpoint's, whose units the weights and the step sizes are in. What is held out comes after what is
trained on: neighbouring windows share their steps, so that windows drawn from between the others would flatter the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor
from tqdm import tqdm

from adaptive_mbrl.canary import CANARY_WINDOWS, make_canary
from adaptive_mbrl.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.device import resolve_device
from adaptive_mbrl.dump import DUMP_FOLDER
from adaptive_mbrl.errors import CheckpointError, ConfigError, DivergenceError
from adaptive_mbrl.meta.dump import written
from adaptive_mbrl.meta.observer import FitObserver
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from adaptive_mbrl.options import FineTuneOptions
from adaptive_mbrl.revision import git_revision

Scalars = dict[str, float]


def fine_tune(options: FineTuneOptions) -> None:
    """Fine-tune a checkpoint and print its error on the held-out steps before and after."""
    if options.out.exists():
        raise CheckpointError(f"{options.out}: exists already; a checkpoint is never overwritten")
    device = resolve_device(options.device)
    checkpoint = load_checkpoint(options.checkpoint)
    store = EpisodeStore.open(options.episodes, EpisodeStore.check(options.episodes, checkpoint.description.spec))
    config = OuterConfig(query=options.query, learning_rate=options.learning_rate)
    try:
        training, held_out = split(store.episodes, checkpoint.description.window, options.query, options.held_out)
    except ConfigError as error:
        raise ConfigError(f"{options.episodes}: {error}") from error
    tuned, before, after = fine_tuned(checkpoint, training, held_out, config, options.updates, options.seed, device)
    provenance = {
        "fine_tuned_from": str(options.checkpoint),
        "episodes": str(options.episodes),
        "env_steps": sum(len(e) - e.history for e in training),
        "updates": options.updates,
        "learning_rate": options.learning_rate,
        "held_out_before": before,
        "held_out_after": after,
        "git_revision": git_revision() or "unknown",
        "before": checkpoint.description.provenance,
    }
    description = dataclasses.replace(tuned.description, provenance=provenance)
    save_checkpoint(options.out, dataclasses.replace(tuned, description=description))
    _print(options.out, training, held_out, before, after)
    if checkpoint.diagnosis is not None:
        print("Its diagnosis is left out, which reads the old beliefs only; fit a new one with 'adaptive-mbrl diagnose'.")


def fine_tuned(
    checkpoint: Checkpoint,
    training: Sequence[Episode],
    held_out: Sequence[Episode],
    config: OuterConfig,
    updates: int,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> tuple[Checkpoint, Scalars, Scalars]:
    """A checkpoint after further outer steps, and what `MetaTrainer.validate` says of it before and after them.

    Args:
        checkpoint: where to begin; is not changed.
        training: episodes of its robot.
        held_out: others.
        config: the outer loop.
        updates: outer steps.
        seed: fixes the order of the windows.
        device: where to train.
    """
    description, device = checkpoint.description, torch.device(device)
    adapter = description.make_adapter()
    adapter.load_state_dict(checkpoint.adapter.state_dict())
    trainer = MetaTrainer(adapter, config, seed, device)
    window = max(description.window, adapter.carried)
    dataset = EpisodeDataset(description.spec, training, held_out, window, config.query, device)
    before = trainer.validate(dataset)
    with tqdm(total=updates, desc="fine-tune", unit="update", leave=False) as bar:
        try:
            trainer.fit(dataset, updates, _OnBar(bar), fit_normalizer=False)
        except DivergenceError as error:
            raise written(error, DUMP_FOLDER, description, trainer) from error
    # while the adapter still is where the windows are
    after, recorded = trainer.validate(dataset), dataset.held_out(CANARY_WINDOWS)
    canary = None if recorded is None else make_canary(adapter, recorded)
    # a diagnosis reads the beliefs of the adapter that it was fitted to, no other's
    about = dataclasses.replace(description, diagnosis=None)
    return dataclasses.replace(checkpoint, description=about, adapter=adapter.cpu(), canary=canary, diagnosis=None), before, after


class _OnBar(FitObserver):
    """Moves a bar with the outer steps."""

    def __init__(self, bar: tqdm[NoReturn]) -> None:
        self._bar = bar

    def updated(self, losses: Tensor) -> None:
        self._bar.update()

    def skipped(self, error: DivergenceError) -> None:
        tqdm.write(f"skipped: {error}")


def split(episodes: Sequence[Episode], window: int, query: int, fraction: float) -> tuple[list[Episode], list[Episode]]:
    """Episodes to train on and others to compare on.

    Those that are tagged `validation` are the others; without any, the last part of each episode is, led up to by `window` steps
    that are history only.

    Args:
        episodes: at least one with enough steps.
        window: K.
        query: M; a part shorter than that would hold no window.
        fraction: share of each episode that is held out.
    """
    marked = [e for e in episodes if e.tags.get("validation")]
    if marked:
        return [e for e in episodes if not e.tags.get("validation")], marked
    training, held_out = [], []
    for e in episodes:
        last = max(query, round(fraction * (len(e) - e.history)))
        begin = len(e) - last
        if begin - e.history < query:
            training.append(e)
            continue
        training.append(_part(e, 0, begin, e.history))
        held_out.append(_part(e, max(0, begin - window), len(e), min(begin, window)))
    if not held_out:
        longest = max((len(e) - e.history for e in episodes), default=0)
        raise ConfigError(f"no episode is long enough to hold out a part: {longest} steps; needed: {2 * query}")
    return training, held_out


def _part(episode: Episode, begin: int, end: int, history: int) -> Episode:
    return dataclasses.replace(
        episode,
        obs=episode.obs[begin : end + 1],
        action=episode.action[begin:end],
        reward=episode.reward[begin:end],
        # the scenario counts its steps from the episode's beginning
        tags={**episode.tags, "begin_step": episode.tags.get("begin_step", 0) + begin} if begin else episode.tags,
        history=history,
        ended=episode.ended and end == len(episode),
        stamps=None if episode.stamps is None else episode.stamps[begin : end + 1],
    )


def _print(out: Path, training: Sequence[Episode], held_out: Sequence[Episode], before: Scalars, after: Scalars) -> None:
    steps, others = (sum(len(e) - e.history for e in part) for part in (training, held_out))
    print(f"Trained on {steps} steps, compared on {others} held-out ones; open-loop error [target stds]:")
    names = [n.removeprefix("validation/adapted_error_").removesuffix("_steps") for n in before if "/adapted_error_" in n]
    for name in names:
        key = f"validation/adapted_error_{name}_steps"
        print(f"  {name:>3} steps ahead: {before[key]:.3f} before, {after[key]:.3f} after")
    loss = "validation/adapted_loss"
    print(f"  loss of the training: {before[loss]:.4f} before, {after[loss]:.4f} after")
    if after[loss] >= before[loss]:
        print("By this loss the model did not get better on the held-out steps; more data or another number of updates may help.")
    print(f"Checkpoint: {out}")
