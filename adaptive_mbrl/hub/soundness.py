"""Whether files are a sound checkpoint: it loads, asks for no larger networks than are there, and predicts what it should."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path

import yaml

from adaptive_mbrl.canary import check_canary
from adaptive_mbrl.checkpoint import DESCRIPTION_FILE, NETWORK_FILES, Description, load_checkpoint, read_description
from adaptive_mbrl.errors import AdaptiveMBRLError, CheckpointError

_FLOAT = 4
"""Size of a weight [bytes]."""


def require_sound(folder: Path, source: str) -> None:
    """Refuse a checkpoint that does not load, or predicts something else than its canary says.

    Args:
        folder: its files, which may be of somebody who means harm.
        source: where they come from, for messages.

    Raises:
        CheckpointError: it is not sound.
    """
    try:
        _require_plain(folder / DESCRIPTION_FILE)
        _require_own_sizes(folder)
        checkpoint = load_checkpoint(folder)
        if checkpoint.canary is not None:
            check_canary(checkpoint.adapter, checkpoint.canary, str(folder))
    except AdaptiveMBRLError as error:
        # the folder is gone when a user reads this
        raise CheckpointError(str(error).replace(str(folder), source)) from error


def _require_plain(path: Path) -> None:
    """Refuse a YAML file that repeats parts of itself by reference, by which a small file can stand for an endless one."""
    try:
        with path.open("rb") as file:
            if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(file, Loader=yaml.SafeLoader)):
                raise CheckpointError(f"{path}: refers to parts of itself with '*'; allowed: YAML without references")
    except (yaml.YAMLError, FileNotFoundError):
        # what reads the file next names the mistake
        return


def _require_own_sizes(folder: Path) -> None:
    """Refuse a description of a network that is larger than the weights beside it, before memory is taken for it."""
    for network, least in _least_weights(read_description(folder)).items():
        file = folder / NETWORK_FILES[network]
        if file.is_file() and least * _FLOAT > file.stat().st_size:
            raise CheckpointError(f"{folder}: its description asks for a larger network than its {file.name} holds")


def _least_weights(about: Description) -> Mapping[str, int]:
    """The number of weights that each network has at least, by its attribute of a `Checkpoint`."""
    obs, transition = about.spec.obs_dim, 3 * about.spec.obs_dim + about.spec.action_dim
    found = {"adapter": about.model.members * _between((obs, *about.model.hidden, obs))}
    if about.value is not None:
        found["value"] = _between((obs, *about.value.hidden, 1))
    if about.diagnosis is not None:
        # what the first layer reads depends on the size of a belief
        found["diagnosis"] = _between((1, *about.diagnosis.hidden, 2 * len(about.diagnosis.names)))
    if about.learned_reward is not None:
        found["learned_reward"] = _between((transition, *about.learned_reward.hidden, 1))
    if about.learned_termination is not None:
        found["learned_termination"] = _between((transition, *about.learned_termination.hidden, 1))
    return found


def _between(widths: tuple[int, ...]) -> int:
    """The number of weights between layers of these widths."""
    return sum(a * b for a, b in itertools.pairwise(widths))
