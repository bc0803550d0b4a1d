"""Pull a checkpoint: its place is empty, or it holds one that is whole, loads, and predicts what it should."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import yaml

from adaptive_mbrl.canary import check_canary
from adaptive_mbrl.checkpoint import DESCRIPTION_FILE, WEIGHTS_FILE, load_checkpoint, read_description
from adaptive_mbrl.errors import AdaptiveMBRLError, CheckpointError
from adaptive_mbrl.hub.archives import unpack
from adaptive_mbrl.hub.hugging_face import fetch_repository
from adaptive_mbrl.hub.layout import require_file, require_sums
from adaptive_mbrl.hub.places import Address, Place, Repository, name_of, place_of
from adaptive_mbrl.hub.web import fetch_address
from adaptive_mbrl.storage import atomic_folder

PULLED = Path("runs/pulled")
"""Where checkpoints are pulled to if the user names no folder."""
_FLOAT = 4
"""Size of a weight [bytes]."""


def pull_checkpoint(source: str, out: Path | None = None) -> Path:
    """Fetch a checkpoint, check it, and put it in its place.

    Args:
        source: a folder or an archive, an address ``https://...`` of one of them, or ``hf://OWNER/NAME[@REVISION]``.
        out: the new folder; if not given, one in `PULLED` with the name that the source has.

    Returns:
        The folder.

    Raises:
        CheckpointError: it cannot be fetched, it is damaged or holds other files than those of a checkpoint, or the folder exists
            already; nothing is written then.
        ConfigError: the source is no address.
    """
    place = place_of(source)
    folder = out or PULLED / name_of(place)
    if folder.exists():
        raise CheckpointError(f"{folder}: exists already; allowed: a new name, which --out gives")
    if isinstance(place, Path) and not place.exists():
        raise CheckpointError(f"{place}: no such folder or archive in {Path.cwd()}; allowed: one of these, https:// or hf://")
    shown = source.partition("#")[0]
    with atomic_folder(folder) as temporary:
        _fetch(place, temporary)
        require_sums(temporary, shown)
        _require_sound(temporary, shown)
    return folder


def _fetch(place: Place, folder: Path) -> None:
    if isinstance(place, Repository):
        fetch_repository(place, folder)
    elif isinstance(place, Address):
        fetch_address(place, folder)
    elif place.is_file():
        unpack(place, folder, str(place))
    else:
        for path in sorted(place.iterdir()):
            require_file(path.name, path.stat().st_size, str(place))
            shutil.copyfile(path, folder / path.name)


def _require_sound(folder: Path, source: str) -> None:
    """Refuse a checkpoint that does not load, or predicts something else than its canary says."""
    try:
        _require_plain(folder / DESCRIPTION_FILE)
        _require_own_size(folder)
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


def _require_own_size(folder: Path) -> None:
    """Refuse a description of a network that is larger than the weights beside it, before memory is taken for it."""
    about = read_description(folder)
    widths = (about.spec.obs_dim, *about.model.hidden, about.spec.obs_dim)
    least = sum(a * b for a, b in itertools.pairwise(widths)) * about.model.members * _FLOAT
    weights = folder / WEIGHTS_FILE
    if weights.is_file() and least > weights.stat().st_size:
        raise CheckpointError(f"{folder}: its description asks for a larger network than its {WEIGHTS_FILE} holds")
