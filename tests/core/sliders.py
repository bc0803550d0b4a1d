"""Recordings of a robot that slides and turns, and what is said of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from adaptive_mbrl.stores.channels import ChannelFigures

DT = 0.1
SPEC = RobotSpec(
    "slider",
    DT,
    (
        Channel("slide_position", "m"),
        Channel("slide_velocity", "m/s", "velocity"),
        Channel("hinge_angle", "rad", "angle"),
        Channel("hinge_velocity", "rad/s", "velocity"),
    ),
    (ActionChannel("push", "N", -2.0, 2.0),),
)


def slider(seed: int, steps: int = 60, **tags: object) -> Episode:
    """Smooth random velocities, and positions that follow from them; the hinge goes round several times."""
    rng = np.random.default_rng(seed)
    velocity = np.cumsum(rng.normal(0, 0.3, (steps + 1, 2)), axis=0)
    position = np.concatenate([np.zeros((1, 2)), np.cumsum((velocity[1:] + velocity[:-1]) / 2 * DT, axis=0)])
    hinge = np.angle(np.exp(1j * 3 * position[:, 1]))
    obs = np.stack([position[:, 0], velocity[:, 0], hinge, 3 * velocity[:, 1]], axis=1).astype(np.float32)
    return Episode(obs, rng.uniform(-1, 1, (steps, 1)).astype(np.float32), np.zeros(steps, np.float32), dict(tags))


def with_obs(episode: Episode, column: int, values: np.ndarray) -> Episode:
    obs = episode.obs.copy()
    obs[:, column] = values
    return dataclasses.replace(episode, obs=obs)


def stored(folder: Path, *batches: list[Episode]) -> Path:
    store = EpisodeStore.open(folder, SPEC)
    for batch in batches:
        store.append(batch)
    return folder


def warnings_of(*episodes: Episode) -> list[str]:
    figures = ChannelFigures(SPEC)
    for episode in episodes:
        figures.add(episode)
    return [warned.text for warned in figures.warnings()]


def with_stamps(episode: Episode, apart: np.ndarray) -> Episode:
    """An episode whose stamps are so many seconds apart, (T,)."""
    return dataclasses.replace(episode, stamps=1.7e9 + np.concatenate([[0.0], np.cumsum(apart)]))
