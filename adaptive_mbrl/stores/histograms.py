"""A picture of the distribution of each channel in a store."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.statistics import Moments
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.spec import ActionChannel, Channel
from adaptive_mbrl.storage import write_bytes_atomically
from adaptive_mbrl.stores.channels import ChannelFigures

BINS = 60
COLUMNS = 4


def draw_histograms(path: Path, store: EpisodeStore, figures: ChannelFigures) -> None:
    """Draw one histogram for each channel, on a logarithmic scale, so that rare values can be seen.

    Args:
        path: the .png file to write.
        store: the episodes.
        figures: what was gathered from them, for the ranges.

    Raises:
        ConfigError: the episodes have no step.
    """
    if figures.obs is None or figures.action is None:
        raise ConfigError(f"--plot: there is no step to draw in {store.folder}")
    obs, action = Histograms(figures.obs), Histograms(figures.action)
    for episode in store.episodes:
        obs.add(episode.obs[episode.history :])
        action.add(episode.action[episode.history :])
    channels: tuple[Channel | ActionChannel, ...] = (*store.spec.obs, *store.spec.action)
    drawn = [(edges, counts) for found in (obs, action) for edges, counts in zip(found.edges.T, found.counts.T, strict=True)]
    rows = math.ceil(len(channels) / COLUMNS)
    figure = Figure(figsize=(3.2 * COLUMNS, 2.1 * rows), layout="constrained")
    for place, (channel, (edges, counts)) in enumerate(zip(channels, drawn, strict=True), start=1):
        axes = figure.add_subplot(rows, COLUMNS, place)
        axes.stairs(counts, edges, fill=True)
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.5)
        axes.set_title(channel.name, fontsize=9)
        axes.set_xlabel(channel.unit, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        if place % COLUMNS == 1:
            axes.set_ylabel("steps", fontsize=8)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    write_bytes_atomically(path, content.getvalue())


class Histograms:
    """Counts of the values of d columns in bins over their ranges.

    Args:
        moments: of the same columns, for the ranges.

    Attributes:
        edges: (BINS + 1, d).
        counts: (BINS, d).
    """

    def __init__(self, moments: Moments) -> None:
        low, high = moments.low.numpy().astype(np.float64), moments.high.numpy().astype(np.float64)
        # a constant column has one bin in the middle of a range around it
        margin = np.where(high > low, 0.0, 0.5)
        self.edges = np.linspace(low - margin, high + margin, BINS + 1)
        self.counts = np.zeros((BINS, len(low)), np.int64)

    def add(self, rows: NDArray[np.float32]) -> None:
        """Count rows (S, d)."""
        for column, values in enumerate(rows.T):
            self.counts[:, column] += np.histogram(values[np.isfinite(values)], self.edges[:, column])[0]
