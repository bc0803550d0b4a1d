"""The sub-command `data stats`: what is in a store of episodes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from adaptive_mbrl.console import make_console
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.statistics import Moments
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.options import DataStatsOptions
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from adaptive_mbrl.stores.channels import ChannelFigures, velocity_pairs
from adaptive_mbrl.stores.coverage import coverage_by_tag

MOST_WARNINGS = 20
"""Warnings that are printed."""


def stats(options: DataStatsOptions) -> None:
    """Print each channel's figures, the coverage by tag and what looks wrong, and draw histograms on request."""
    skipped: list[CheckpointError] = []
    store = EpisodeStore.open(options.folder, damaged=skipped.append)
    for error in skipped:
        print(f"Skipped: {error}")
    if not store.episodes:
        raise ConfigError(f"{options.folder}: holds no episode that can be read")
    coverage = coverage_by_tag(store.episodes, options.by)
    figures, of_batch = ChannelFigures(store.spec), defaultdict[int, ChannelFigures](lambda: ChannelFigures(store.spec))
    for episode in tqdm(store.episodes, desc="read", unit="episode", leave=False, disable=None):
        of_batch[episode.batch].add(episode)
    for found in of_batch.values():
        figures.merge(found)
    console = make_console()
    hours = store.num_steps * store.spec.dt / 3600
    about = (
        f"{len(store.episodes)} episodes of '{store.spec.name}', {store.num_steps} steps of {store.spec.dt:g} s ({hours:.2f} h)"
    )
    console.print(f"{options.folder}: {about}", markup=False, soft_wrap=True)
    if figures.obs is not None and figures.action is not None:
        console.print(_channel_table("observation", store.spec.obs, figures.obs, figures.frozen, "stands still"))
        console.print(_channel_table("action", store.spec.action, figures.action, figures.saturated, "at a limit"))
    if figures.stamps.episodes:
        of = f"{figures.stamps.episodes} of {len(store.episodes)} episodes"
        console.print(f"Measured stamps: {of}, up to {figures.stamps.longest:.3g} s apart", markup=False, soft_wrap=True)
    for name, counts in coverage.items():
        console.print(_coverage_table(name, counts, store.spec))
    for line in warning_lines(store, figures, of_batch, len(skipped)):
        console.print(line, markup=False, soft_wrap=True)
    if options.plot is not None:
        _plot(options.plot, store, figures)


def warning_lines(
    store: EpisodeStore, figures: ChannelFigures, of_batch: Mapping[int, ChannelFigures], skipped: int
) -> Iterator[str]:
    """What looks wrong about the whole store, or about single recordings.

    Args:
        store: the episodes.
        figures: of all of them.
        of_batch: of those of each batch; an imported file is one batch.
        skipped: number of files that could not be read.
    """
    if figures.steps == 0:
        yield "Warning: the episodes have no steps"
        return
    single = [(batch, warned) for batch, found in sorted(of_batch.items()) for warned in found.warnings()]
    concerned = Counter(warned.key for _, warned in single)
    # what is wrong with most recordings is said once, and what is wrong with a few is said of these
    common = {key for key, num in concerned.items() if 2 * num > len(of_batch)}
    whole = [warned for warned in figures.warnings() if warned.key in common or warned.key not in concerned]
    names = {e.batch: str(e.tags.get("file") or e.tags.get("bag") or f"batch {e.batch}") for e in store.episodes}
    said = {warned.key for warned in whole}
    lines = [f"Warning: {warned.text}" for warned in whole]
    for batch, warned in single:
        if warned.key not in said:
            count = f" (and in {concerned[warned.key] - 1} more recordings)" if warned.key in common else ""
            lines.append(f"Warning: {names[batch]}: {warned.text}{count}")
        if warned.key in common:
            said.add(warned.key)
    yield from lines[:MOST_WARNINGS]
    if len(lines) > MOST_WARNINGS:
        yield f"... and {len(lines) - MOST_WARNINGS} more warnings about single recordings"
    if skipped:
        which = (
            "1 damaged file was skipped (named above), so its"
            if skipped == 1
            else (f"{skipped} damaged files were skipped (named above), so their")
        )
        yield f"Warning: {which} episodes are not in these figures"
    elif not lines:
        pairs = [store.spec.obs[pair.position].name for pair in velocity_pairs(store.spec)]
        checked = f"; compared with their velocities: {', '.join(pairs)}" if pairs else ""
        yield f"Nothing looks wrong{checked}."


def _channel_table(
    what: str, channels: Sequence[Channel | ActionChannel], moments: Moments, share: NDArray[np.float64], of: str
) -> Table:
    table = Table(box=SIMPLE)
    table.add_column(what)
    for header in ("unit", "mean", "std", "min", "max", of):
        table.add_column(header, justify="right")
    std = (moments.squared / moments.rows).sqrt()
    figures = (x.tolist() for x in (moments.mean, std, moments.low, moments.high, share))
    columns = zip(channels, *figures, strict=True)
    for channel, mean, deviation, low, high, part in columns:
        numbers = [f"{value:.4g}" for value in (mean, deviation, low, high)]
        table.add_row(Text(channel.name), channel.unit, *numbers, f"{100 * part:.1f} %")
    return table


def _coverage_table(name: str, counts: dict[str, tuple[int, int]], spec: RobotSpec) -> Table:
    table = Table(box=SIMPLE)
    table.add_column(name)
    for header in ("episodes", "steps", "seconds"):
        table.add_column(header, justify="right")
    for value, (episodes, steps) in counts.items():
        table.add_row(Text(value), str(episodes), str(steps), f"{steps * spec.dt:.0f}")
    return table


def _plot(path: Path, store: EpisodeStore, figures: ChannelFigures) -> None:
    # matplotlib takes long to load
    from adaptive_mbrl.stores.histograms import draw_histograms

    draw_histograms(path, store, figures)
    print(f"Histograms: {path}")
