"""The sub-command `data check`: is what the files hold what was written, and can it be a robot's?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore, shard_files
from adaptive_mbrl.data.shards import check_shard, read_shard
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.options import DataCheckOptions
from adaptive_mbrl.spec import RobotSpec

LIMIT_TOLERANCE = 1e-5
"""How far an action may be outside of its limits, as a share of their range: rounding to float32."""


def check(options: DataCheckOptions) -> None:
    """Check every file of some stores, and print what is wrong.

    Raises:
        CheckpointError: a file is damaged, or an episode holds impossible numbers. What can be read has been counted.
    """
    wrong = 0
    for folder in options.folders:
        spec = EpisodeStore.check(folder)
        episodes = steps = 0
        files = shard_files(folder)
        for file in tqdm(files, desc=str(folder), unit="file", leave=False, disable=None):
            found, problems = checked(file, spec)
            episodes, steps, wrong = episodes + len(found), steps + sum(len(e) - e.history for e in found), wrong + len(problems)
            for problem in problems:
                tqdm.write(problem)
        print(
            f"{folder}: {len(files)} file{'s' * (len(files) != 1)}, {episodes} episode{'s' * (episodes != 1)}, "
            f"{steps} step{'s' * (steps != 1)} of {spec.dt:g} s ({steps * spec.dt / 3600:.2f} h)"
        )
    if wrong:
        raise CheckpointError(f"{wrong} problem{'s' if wrong > 1 else ''} found, named above")


def checked(file: Path, spec: RobotSpec) -> tuple[list[Episode], list[str]]:
    """The episodes of a file, and a line about each thing that is wrong with it."""
    try:
        check_shard(file)
        episodes, _ = read_shard(file)
    except CheckpointError as error:
        return [], [str(error)]
    return episodes, [f"{file}: episode {i}: {p}" for i, e in enumerate(episodes) for p in problems_of(e, spec)]


def problems_of(episode: Episode, spec: RobotSpec) -> Iterator[str]:
    """What an episode has that no episode of this robot can have."""
    steps = len(episode)
    shapes = {"obs": (steps + 1, spec.obs_dim), "action": (steps, spec.action_dim), "reward": (steps,)}
    for name, shape in shapes.items():
        array = getattr(episode, name)
        if array.shape != shape:
            yield f"{name} has the shape {array.shape}; {shape} is right"
            return
        if not np.isfinite(array).all():
            yield f"{name} holds values that are not finite, the first one at step {int(np.argwhere(~np.isfinite(array))[0, 0])}"
    if episode.stamps is not None:
        yield from _problems_of_stamps(episode.stamps, steps)
    for column, channel in enumerate(spec.action):
        margin = LIMIT_TOLERANCE * (channel.high - channel.low)
        values = episode.action[:, column]
        beyond = (values < channel.low - margin) | (values > channel.high + margin)
        if beyond.any():
            step = int(beyond.argmax())
            limits = f"{channel.low:g} to {channel.high:g} {channel.unit}"
            yield f"action '{channel.name}' is {values[step]:g} at step {step}; its limits are {limits}"


def _problems_of_stamps(stamps: np.ndarray, steps: int) -> Iterator[str]:
    if stamps.shape != (steps + 1,):
        yield f"stamps has the shape {stamps.shape}; {(steps + 1,)} is right"
        return
    if not np.isfinite(stamps).all():
        yield f"a stamp is not finite, the first one at step {int(np.argwhere(~np.isfinite(stamps))[0, 0])}"
    backwards = np.diff(stamps) < 0
    if backwards.any():
        yield f"stamps go back {int(backwards.sum())} times, the first time after step {int(backwards.argmax())}"
