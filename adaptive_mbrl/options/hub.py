"""Flags of the sub-commands that bring checkpoints to others and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from adaptive_mbrl.options.common import OptionalPath


@dataclass(frozen=True)
class PushOptions:
    """Copy a checkpoint, with its model card and hashes, to where others can pull it.

    Example: adaptive-mbrl push runs/train/walker/checkpoint hf://someone/walker

    Attributes:
        checkpoint: folder of the checkpoint, or name of a shipped one.
        target: a new folder, a new archive (.tar.gz or .zip), or a repository of the Hugging Face Hub, hf://OWNER/NAME, which
            needs 'adaptive-mbrl[hub]'.
        private: let only its owner see a repository that is made.
    """

    checkpoint: Positional[Annotated[str, arg(metavar="CHECKPOINT")]]
    target: Positional[Annotated[str, arg(metavar="TARGET")]]
    private: bool = False


@dataclass(frozen=True)
class PullOptions:
    """Fetch a checkpoint from elsewhere; it is checked before it gets its place.

    Example: adaptive-mbrl pull hf://someone/walker --out walker

    Attributes:
        source: a folder or an archive, an address (https://...) of one of them, or a repository of the Hugging Face Hub,
            hf://OWNER/NAME or hf://OWNER/NAME@REVISION, which needs 'adaptive-mbrl[hub]'.
        out: the new folder; runs/pulled/NAME if not given.
    """

    source: Positional[Annotated[str, arg(metavar="SOURCE")]]
    out: OptionalPath = None
