"""A run as its folder tells: all that a page about it, or a comparison with others, needs to know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from adaptive_mbrl.checkpoint import Description, load_checkpoint, read_description
from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import AdaptiveMBRLError, ConfigError
from adaptive_mbrl.training.comparison import COMPARISON_FILE, Comparison, load_comparison
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.given_episodes import FILES_FILE, given_episodes
from adaptive_mbrl.training.recorder import RECORD_FILE
from adaptive_mbrl.training.report.figures import RoundFigures, load_figures
from adaptive_mbrl.training.report.held_out import HeldOutErrors, held_out_errors, horizons_of
from adaptive_mbrl.training.rounds import RoundRecord, round_folder
from adaptive_mbrl.training.run_folder import CONFIG_FILE


class Round(NamedTuple):
    """A complete round.

    Attributes:
        number: counted from 0.
        record: its figures.
        figures: what it recorded for reports; None where it is of an earlier version.
    """

    number: int
    record: RoundRecord
    figures: RoundFigures | None


class Collection(NamedTuple):
    """The episodes of one source that a round was the first to see, without branches.

    Attributes:
        round: number of the round.
        source: who acted: random, oracle, policy, ...
        episodes: the episodes.
    """

    round: int
    source: str
    episodes: tuple[Episode, ...]

    @property
    def returns(self) -> NDArray[np.float64]:
        """The return of each episode, (E,)."""
        return np.array([return_of(e) for e in self.episodes])


@dataclass(frozen=True)
class History:
    """A run with at least one complete round.

    Attributes:
        folder: the run folder.
        config: its configuration.
        revision: git revision of the code that started it.
        description: what the checkpoint of the last round says about itself.
        rounds: the complete rounds.
        collections: what the run collected itself, round by round.
        store: the episodes that it trains on; None where they are not there any more.
        held_out: errors of the last round on held-out episodes; None where they are not known.
        comparison: with the multi-task model on the same recorded episodes; None without one.
    """

    folder: Path
    config: TrainConfig
    revision: str
    description: Description
    rounds: tuple[Round, ...]
    collections: tuple[Collection, ...]
    store: EpisodeStore | None
    held_out: HeldOutErrors | None
    comparison: Comparison | None

    @property
    def last(self) -> Round:
        """The newest round."""
        return self.rounds[-1]

    @property
    def name(self) -> str:
        """The last two names of its path, such as ``cartpole/seed_3``; the last one alone below a folder ``train``."""
        parts = self.folder.resolve().parts[-2:]
        return parts[-1] if parts[0] in ("train", "runs") else "/".join(parts)

    def scalars(self, name: str) -> dict[int, float]:
        """The values of a figure, by the numbers of the rounds that have it."""
        return {r.number: r.record.scalars[name] for r in self.rounds if name in r.record.scalars}


def return_of(episode: Episode) -> float:
    """The return of an episode, without the first steps that only lead up to it."""
    return float(episode.reward[episode.history :].sum())


def read_history(run: Path, store: EpisodeStore | None = None, *, predicts: bool = False) -> History:
    """Read a run folder.

    Args:
        run: the run folder.
        store: its episodes, where somebody has opened them already.
        predicts: whether the checkpoint of the last round predicts the held-out episodes where no errors are recorded, as in runs
            of an earlier version; this takes some seconds.

    Raises:
        ConfigError: it is no run of `adaptive-mbrl train`, or no round is complete.
    """
    if not (run / CONFIG_FILE).is_file():
        raise ConfigError(f"{run}: is no run; allowed: a folder that 'adaptive-mbrl train' wrote, with its {CONFIG_FILE}")
    config = load_yaml(run / CONFIG_FILE, TrainConfig)
    folders = [round_folder(run, i) for i in range(config.num_rounds)]
    rounds = tuple(
        Round(i, load_yaml(folder / RECORD_FILE, RoundRecord), load_figures(folder))
        for i, folder in enumerate(folders)
        if (folder / RECORD_FILE).is_file()
    )
    if not rounds:
        raise ConfigError(f"{run}: no round is complete yet; 'adaptive-mbrl runs {run}' says how far it is")
    description = read_description(folders[rounds[-1].number])
    store = store or _store(run, config, description)
    collects = store is not None and config.data.episodes_from is None
    last = rounds[-1]
    held_out = None if last.figures is None else last.figures.held_out
    if held_out is None and predicts and store is not None:
        held_out = _predicted(folders[last.number], config, store)
    revision = run / "git_revision.txt"
    return History(
        run,
        config,
        revision.read_text(encoding="utf-8").strip() if revision.is_file() else "unknown",
        description,
        rounds,
        tuple(_collections(store, rounds)) if collects and store is not None else (),
        store,
        held_out,
        load_comparison(run / COMPARISON_FILE),
    )


def _predicted(checkpoint: Path, config: TrainConfig, store: EpisodeStore) -> HeldOutErrors | None:
    held_out = [e for e in store.episodes if e.tags.get("validation")]
    adapter = load_checkpoint(checkpoint).adapter
    return held_out_errors(adapter, held_out, config.window, horizons_of(config), torch.device("cpu"))


def _store(run: Path, config: TrainConfig, description: Description) -> EpisodeStore | None:
    try:
        if config.data.episodes_from is None:
            return EpisodeStore.open(run / "episodes", description.spec)
        listed = run / FILES_FILE
        files = {FILES_FILE: listed.read_text(encoding="utf-8")} if listed.is_file() else {}
        return given_episodes(config, description.spec, files)
    except (AdaptiveMBRLError, OSError):
        # a run tells a lot without its episodes, which may be large and elsewhere by now
        return None


def _collections(store: EpisodeStore, rounds: Sequence[Round]) -> Iterator[Collection]:
    repeated, first = set(_repeated(store.abouts)), 0
    for r in rounds:
        new = [e for e in store.episodes if first <= e.batch < r.record.batches and e.batch not in repeated]
        first = r.record.batches
        for source in dict.fromkeys(str(e.tags.get("source", "unknown")) for e in new):
            if source != "branch":
                yield Collection(r.number, source, tuple(e for e in new if e.tags.get("source", "unknown") == source))


def _repeated(abouts: Sequence[Mapping[str, Any]]) -> Iterator[int]:
    """Numbers of the batches of collectors that have an episode which an earlier batch has, too; these do not count."""
    there: set[tuple[int, int]] = set()
    for number, about in enumerate(abouts):
        part = about.get("part")
        episodes = set() if part is None else {(part["iteration"], part["first"] + i) for i in range(part["num"])}
        if episodes & there:
            yield number
        there |= episodes
