"""Where a checkpoint is kept: a folder or an archive here, an address of the web, or a repository of the Hugging Face Hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from adaptive_mbrl.errors import ConfigError

ARCHIVES = (".tar.gz", ".tgz", ".zip")
_REPOSITORY = re.compile(r"hf://(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_PIN = re.compile(r"sha256=[0-9a-f]{64}")


@dataclass(frozen=True)
class Repository:
    """A repository of the Hugging Face Hub.

    Attributes:
        name: owner and name, such as ``someone/walker``.
        revision: branch, tag or commit; None for the main branch.
    """

    name: str
    revision: str | None = None


@dataclass(frozen=True)
class Address:
    """An address of the web: an archive, or a folder of files.

    Attributes:
        url: without what follows a ``#``.
        sha256: hash that the archive must have, or the folder's SHA256SUMS; None where the user gave none.
    """

    url: str
    sha256: str | None = None

    @property
    def is_archive(self) -> bool:
        """Whether one file holds the whole checkpoint."""
        return urlsplit(self.url).path.endswith(ARCHIVES)


Place = Path | Address | Repository


def place_of(text: str) -> Place:
    """What a user means by a word.

    Raises:
        ConfigError: it looks like an address, but is none.
    """
    if text.startswith("hf:"):
        found = _REPOSITORY.fullmatch(text)
        if found is None:
            raise ConfigError(f"'{text}' names no repository of the Hub; allowed: hf://OWNER/NAME or hf://OWNER/NAME@REVISION")
        return Repository(found["name"], found["revision"])
    if "://" not in text:
        return Path(text)
    url, _, pin = text.partition("#")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ConfigError(f"'{text}' is no address that can be read; allowed: https://, http:// and hf://, or a folder")
    if pin and not _PIN.fullmatch(pin):
        raise ConfigError(f"'{text}': '#{pin}' is no hash; allowed: #sha256= and 64 digits of 0-9a-f")
    return Address(url, pin.removeprefix("sha256=") or None)


def name_of(place: Place) -> str:
    """A name for what is pulled from a place: the last part of its address, without the ending of an archive."""
    if isinstance(place, Repository):
        return place.name.rpartition("/")[2]
    path = urlsplit(place.url).path if isinstance(place, Address) else str(place.absolute())
    last = path.rstrip("/").rpartition("/")[2]
    ending = next((ending for ending in ARCHIVES if last.endswith(ending)), "")
    return last.removesuffix(ending) or "checkpoint"
