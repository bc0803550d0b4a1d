"""Names of channels."""

from __future__ import annotations

import re


def plain_word(name: str, instead: str) -> str:
    """A name in letters, digits and underscores that does not begin with a digit; `instead` where nothing is left of it."""
    word = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or instead
    return f"{instead[0]}_{word}" if word[0].isdigit() else word


class ChannelNames:
    """Gives every channel a name of its own that needs no quotes in YAML."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __call__(self, wanted: str) -> str:
        plain = plain_word(wanted, "channel")
        name, number = plain, 1
        while name in self._taken:
            number += 1
            name = f"{plain}_{number}"
        self._taken.add(name)
        return name
