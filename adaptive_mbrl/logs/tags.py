"""Facts about a log's episodes: from columns that are constant within an episode, from the file's path, or for all files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adaptive_mbrl.errors import ConfigError

RESERVED = ("source", "scenario", "situation", "file", "begin_seconds", "begin_step")
"""Tags with a meaning of their own."""


@dataclass(frozen=True)
class TagsConfig:
    """Where an episode's tags come from.

    Attributes:
        constant: tags of all episodes.
        columns: columns whose value is a tag with the column's name; where a value changes, a new episode starts.
        path: regular expression that is searched for in a file's path; its named groups are tags.
    """

    constant: Mapping[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    path: str | None = None

    def __post_init__(self) -> None:
        try:
            names = self.names
        except re.error as error:
            raise ConfigError(f"key 'path': '{self.path}' is no regular expression: {error}") from error
        if self.path is not None and not re.compile(self.path).groupindex:
            raise ConfigError(f"key 'path': '{self.path}' has no named group, such as (?P<payload>[0-9]+)")
        for name in names:
            if name in RESERVED:
                raise ConfigError(f"tag '{name}' has a meaning of its own; allowed: any name but {', '.join(RESERVED)}")
            if names.count(name) > 1:
                raise ConfigError(f"tag '{name}' stands there twice; allowed: one of constant, columns and path")

    @property
    def names(self) -> list[str]:
        """The names of all tags."""
        return [*self.constant, *self.columns, *(re.compile(self.path).groupindex if self.path else ())]

    def of_path(self, path: Path) -> dict[str, Any]:
        """The tags of all episodes of a file.

        Raises:
            ConfigError: the regular expression is not found in the file's path.
        """
        if self.path is None:
            return dict(self.constant)
        found = re.search(self.path, path.as_posix())
        if found is None:
            raise ConfigError(f"{path}: its path does not have what key 'tags.path' searches for: {self.path}")
        return {**self.constant, **{name: plain(text) for name, text in found.groupdict().items() if text is not None}}


def plain(value: Any) -> Any:
    """A value as JSON holds it: a number where it is one, a whole number where it is whole, else a text."""
    if isinstance(value, bool):
        return value
    try:
        number = float(value)
    except ValueError:
        return str(value)
    return int(number) if number.is_integer() else number
