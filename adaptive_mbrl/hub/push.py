"""Push a checkpoint to where others find it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from adaptive_mbrl.canary import check_canary
from adaptive_mbrl.checkpoint import CHECKPOINT_FILES, find_checkpoint, load_checkpoint
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.hub.archives import pack
from adaptive_mbrl.hub.card import card_of
from adaptive_mbrl.hub.hugging_face import push_repository
from adaptive_mbrl.hub.layout import require_file, write_sums
from adaptive_mbrl.hub.places import ARCHIVES, Address, Repository, name_of, place_of
from adaptive_mbrl.hub.soundness import require_sound
from adaptive_mbrl.storage import atomic_folder, write_text_atomically
from adaptive_mbrl.training.card import CARD_FILE


def push_checkpoint(checkpoint: str | Path, target: str, *, private: bool = False) -> str:
    """Write a checkpoint with its model card and hashes to a new folder or archive, or to the Hugging Face Hub.

    Args:
        checkpoint: its folder, or the name of a shipped one.
        target: a folder or a name that ends in .tar.gz, .tgz or .zip, which must not exist, or ``hf://OWNER/NAME``.
        private: whether a new repository of the Hub can be seen by its owner only.

    Returns:
        Where it is now.

    Raises:
        CheckpointError: it is damaged, or there is something at the target already.
        ConfigError: nothing can be pushed to such a target.
    """
    place = place_of(target)
    _require_target(place, target, private)
    if isinstance(place, Path) and not place.name.endswith(ARCHIVES):
        with atomic_folder(place) as folder:
            _fill(folder, checkpoint, name_of(place))
        return str(place)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _fill(folder, checkpoint, name_of(place))
        if isinstance(place, Repository):
            return push_repository(place, folder, private=private)
        assert isinstance(place, Path)
        pack(folder, place)
        return str(place)


def _require_target(place: Path | Address | Repository, target: str, private: bool) -> None:
    if isinstance(place, Address):
        raise ConfigError(
            f"'{target}': a web server cannot be pushed to; allowed: hf://OWNER/NAME, or a folder or archive to put on the server"
        )
    if isinstance(place, Repository) and place.revision is not None:
        raise ConfigError(f"'{target}': a revision is made by the Hub; allowed: hf://{place.name}")
    if private and not isinstance(place, Repository):
        raise ConfigError(f"--private: '{target}' is no repository of the Hub; allowed: with hf://OWNER/NAME")
    if isinstance(place, Path) and place.exists():
        raise CheckpointError(f"{place}: exists already; allowed: a new name")


def _fill(folder: Path, checkpoint: str | Path, name: str) -> None:
    """Copy the files of a checkpoint that loads and predicts what it should, and add its card and hashes.

    The copy is checked as `pull` will check it: nobody is told of a checkpoint that others cannot pull.
    """
    source = find_checkpoint(checkpoint)
    loaded = load_checkpoint(source)
    if loaded.canary is not None:
        check_canary(loaded.adapter, loaded.canary, str(source))
    for file in CHECKPOINT_FILES:
        if (source / file).is_file():
            require_file(file, (source / file).stat().st_size, str(source))
            shutil.copyfile(source / file, folder / file)
    card = source / CARD_FILE
    written = card.read_text(encoding="utf-8") if card.is_file() else None
    write_text_atomically(folder / CARD_FILE, card_of(loaded.description, name, written))
    write_sums(folder)
    require_sound(folder, str(source))
