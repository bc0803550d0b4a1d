"""Something about a store that looks wrong."""

from __future__ import annotations

from typing import NamedTuple


class Warned(NamedTuple):
    """Something that looks wrong.

    Attributes:
        key: which channel it is about, and in what way.
        text: a sentence about it.
    """

    key: str
    text: str
