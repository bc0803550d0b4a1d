"""The sub-command `data stats`: what is in a store of episodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.statistics import Moments
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import DataStatsOptions
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from adaptive_mbrl.stores.channels import ChannelFigures
from adaptive_mbrl.stores.coverage import coverage_by_tag

WIDTH = 100
"""Columns of a table if the output is no terminal."""


def stats(options: DataStatsOptions) -> None:
    """Print each channel's figures, the coverage by tag and what looks wrong, and draw histograms on request."""
    store = EpisodeStore.open(options.folder, damaged=lambda error: print(f"Skipped: {error}"))
    if not store.episodes:
        raise ConfigError(f"{options.folder}: holds no episode that can be read")
    coverage = coverage_by_tag(store.episodes, options.by)
    figures = ChannelFigures(store.spec)
    for episode in tqdm(store.episodes, desc="read", unit="episode", leave=False, disable=None):
        figures.add(episode)
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=WIDTH)
    hours = store.num_steps * store.spec.dt / 3600
    about = (
        f"{len(store.episodes)} episodes of '{store.spec.name}', {store.num_steps} steps of {store.spec.dt:g} s ({hours:.2f} h)"
    )
    console.print(f"{options.folder}: {about}", markup=False, soft_wrap=True)
    if figures.obs is not None and figures.action is not None:
        console.print(_channel_table("observation", store.spec.obs, figures.obs, figures.frozen, "stands still"))
        console.print(_channel_table("action", store.spec.action, figures.action, figures.saturated, "at a limit"))
    for name, counts in coverage.items():
        console.print(_coverage_table(name, counts, store.spec))
    warnings = list(figures.warnings())
    for warning in warnings:
        console.print(f"Warning: {warning}", markup=False, soft_wrap=True)
    if figures.steps == 0:
        warnings.append("the episodes have no steps")
        console.print("Warning: the episodes have no steps")
    if not warnings:
        console.print("Nothing looks wrong.")
    if options.plot is not None:
        _plot(options.plot, store, figures)


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
