"""Names of channels."""

from __future__ import annotations

import re


class ChannelNames:
    """Gives every channel a name of its own that needs no quotes in YAML."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def __call__(self, wanted: str) -> str:
        plain = re.sub(r"\W+", "_", wanted, flags=re.ASCII).strip("_") or "channel"
        plain = f"c_{plain}" if plain[0].isdigit() else plain
        name, number = plain, 1
        while name in self._taken:
            number += 1
            name = f"{plain}_{number}"
        self._taken.add(name)
        return name
