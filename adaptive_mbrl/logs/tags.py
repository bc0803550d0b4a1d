"""Facts about a log's episodes: from columns that are constant within an episode, from the file's path, or for all files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from adaptive_mbrl.errors import ConfigError

RESERVED = (
    *("source", "scenario", "situation", "validation"),
    *("begin_seconds", "begin_step", "file", "bag", "start", "dataset"),
)
"""Tags that this project reads or writes itself: what an episode is used for, and where it comes from."""

_INTEGER = re.compile("0|-?[1-9][0-9]{0,999}")
_DECIMAL = re.compile(r"-?[0-9]+\.[0-9]+")


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
            raise ConfigError(f"key 'path': '{_text(self.path)}' is no regular expression: {error}") from error
        if self.path is not None and not re.compile(self.path).groupindex:
            raise ConfigError(f"key 'path': '{_text(self.path)}' has no named group, such as (?P<payload>[0-9]+)")
        try:
            check_json("constant", self.constant)
        except RecursionError:
            raise ConfigError("key 'constant': a value is nested too deep or holds itself; allowed: what JSON holds") from None
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
            raise ConfigError(f"{path}: its path does not have what key 'tags.path' searches for: {_text(self.path)}")
        return {**self.constant, **{name: plain(text) for name, text in found.groupdict().items() if text is not None}}


def check_json(key: str, value: Any) -> None:
    """Check that JSON gives a value back as it is; YAML has dates, for example, and JSON has none.

    Args:
        key: where the value stands, for the error message.
        value: the value, with all that is in it.

    Raises:
        ConfigError: it does not.
    """
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise ConfigError(f"key '{key}': got the key {_text(name)}; allowed: texts, such as '{_text(name)}' in quotes")
            check_json(f"{key}.{name}", inner)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            check_json(f"{key}[{i}]", inner)
    elif not (value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value))):
        allowed = "texts, finite numbers, true, false, and lists and mappings of them"
        quotes = f"; write '{_text(value)}' in quotes" if isinstance(value, date) else ""
        raise ConfigError(f"key '{key}': got {_text(value)} ({type(value).__name__}){quotes}; allowed: {allowed}")


def _text(value: Any) -> str:
    return " ".join(str(value).split())


def plain(value: Any) -> Any:
    """A tag's value as JSON holds it: a number where it is one, a whole number where it is whole, else a text.

    A text is a number only if a number is written exactly so, such as `12`, `-3` or `0.5`. Others stay what they are: `007`,
    `1e5`, `2024_05_31`, or an id with more digits than a float has.
    """
    if isinstance(value, np.integer | np.bool_):
        return int(value)
    if isinstance(value, np.floating):
        # the shortest text of a float32 says what was meant: 0.1, and not 0.10000000149
        return _whole(float(str(value)))
    text = str(value)
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) and str(float(text)) == text:
        return _whole(float(text))
    return text


def _whole(number: float) -> int | float:
    return int(number) if number.is_integer() else number
