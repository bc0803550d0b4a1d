"""How much there is of what: episodes and steps by the values of a tag."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.situations import tag_text
from adaptive_mbrl.errors import ConfigError

FEW_VALUES = 20
"""A tag with at most this many values is counted without being asked for."""
_PLACES = ("begin_seconds", "begin_step")
"""Tags that say where in a recording an episode begins; each has its own."""
_NUMBER = re.compile(r"-?\d+(\.\d*)?(e[+-]?\d+)?")

Coverage = dict[str, tuple[int, int]]


def coverage_by_tag(episodes: Sequence[Episode], by: str | None) -> dict[str, Coverage]:
    """Number of episodes and of steps with each value of a tag, by tag; without `by`, of all tags that have few values.

    Raises:
        ConfigError: no episode has the tag `by`.
    """
    if by is not None:
        return {by: _coverage(episodes, require_tag(episodes, by))}
    found = {name: _coverage(episodes, name) for name in tag_names(episodes) if name not in _PLACES}
    return {name: coverage for name, coverage in found.items() if len(coverage) <= FEW_VALUES}


def tag_names(episodes: Sequence[Episode]) -> list[str]:
    """The names of all tags, sorted."""
    return sorted({name for e in episodes for name in e.tags})


def require_tag(episodes: Sequence[Episode], name: str) -> str:
    """The name of a tag that some episode has; an error that lists the tags if none does."""
    names = tag_names(episodes)
    if name not in names:
        listed = ", ".join(names) or "there are none"
        raise ConfigError(f"--by: no episode has the tag '{name}'{did_you_mean(name, names)}; tags: {listed}")
    return name


def _coverage(episodes: Sequence[Episode], name: str) -> Coverage:
    counts: Counter[str] = Counter()
    steps: Counter[str] = Counter()
    for episode in episodes:
        text = tag_text(episode.tags[name]) if name in episode.tags else "(none)"
        counts[text] += 1
        steps[text] += len(episode) - episode.history
    return {text: (counts[text], steps[text]) for text in sorted(counts, key=by_size)}


def by_size(text: str) -> list[tuple[int, float, str]]:
    """A key by which numbers come in their order, and run2 comes before run10."""
    if _NUMBER.fullmatch(text):
        return [(-1, float(text), "")]
    parts = re.split(r"(\d+\.?\d*)", text)
    return [(0, float(part), "") if i % 2 else (1, 0.0, part) for i, part in enumerate(parts)]
