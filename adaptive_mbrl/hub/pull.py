"""Pull a checkpoint: its place is empty, or it holds one that is whole, loads, and predicts what it should."""

from __future__ import annotations

import shutil
from pathlib import Path

from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.hub.archives import unpack
from adaptive_mbrl.hub.hugging_face import fetch_repository
from adaptive_mbrl.hub.layout import require_file, require_sums
from adaptive_mbrl.hub.places import Address, Place, Repository, name_of, place_of
from adaptive_mbrl.hub.soundness import require_sound
from adaptive_mbrl.hub.web import fetch_address
from adaptive_mbrl.storage import atomic_folder

PULLED = Path("runs/pulled")
"""Where checkpoints are pulled to if the user names no folder."""


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
        require_sound(temporary, shown)
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
