"""Training situations: steps of equal dynamics share a number, whatever episode they are from.

An episode's tags say what its situations are:

- `situation`, anything that JSON can hold: the whole episode is that one situation. Branches carry it, and recordings of a real
  robot may ("wind 8 m/s"), so that several of them count as one.
- `scenario`, a simulated episode's: at each step the situation is the change in force. `begin_step` is the scenario's step that
  the episode begins with, where it is not the first one.
- Without either, the episode is a situation of its own.

Of some situations it is known by which numbers their dynamics differ: the change in force, or the entries of the tag `situation`
where that is a mapping.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from adaptive_mbrl.data.episode import Episode

_Point = tuple[str, bytes]  # a scenario, and an observation


class Stretch(NamedTuple):
    """Steps `begin` to `end` - 1 of an episode, which are all in the situation `key`.

    Attributes:
        begin: the first step.
        end: the step after the last one.
        key: names the situation.
        change: how the robot differs from the nominal one, as a scenario says it; None where that is not known.
    """

    begin: int
    end: int
    key: str
    change: dict[str, Any] | None = None


def change_in_force(episode: Episode, step: int) -> dict[str, Any]:
    """The change of a simulated episode's scenario that is in force at a step of the scenario; empty for the nominal robot."""
    past = [change for change in episode.tags["scenario"]["changes"] if change["at"] <= step]
    return {name: value for name, value in past[-1].items() if name != "at"} if past else {}


class NumberedSpan(NamedTuple):
    """Steps `begin` to `end` - 1 of an episode, which are all in one situation. Episode and situation (`task`) are numbers."""

    episode: int
    begin: int
    end: int
    task: int


def number_situations(
    episodes: Sequence[Episode], spans: Sequence[tuple[int, int]]
) -> tuple[list[NumberedSpan], list[dict[str, Any] | None]]:
    """Number the situations in the order in which they first appear, so that episodes that are added later change no number.

    Args:
        episodes: the data.
        spans: the steps of each episode that are numbered, as begin and end.

    Returns:
        The parts of the spans in which the situation stays the same, in order, and what is known of each situation's dynamics, by
        its number; None where nothing is.
    """
    points = _branching_points(episodes)
    numbers: dict[str, int] = {}
    found: list[NumberedSpan] = []
    known: list[dict[str, Any] | None] = []
    for i, (episode, (begin, end)) in enumerate(zip(episodes, spans, strict=True)):
        for stretch in _stretches(episode, f"episode {i}", points):
            low, high = max(stretch.begin, begin), min(stretch.end, end)
            if low < high:
                found.append(NumberedSpan(i, low, high, numbers.setdefault(stretch.key, len(numbers))))
                if len(numbers) > len(known):
                    known.append(_known(episode, stretch))
    return found, known


def numbers_by_name(known: Mapping[str, Any]) -> dict[str, float]:
    """Nested mappings and lists as numbers by name: {"force": {"hand": [1, 0]}} gives "force hand 0" and "force hand 1".

    A word is a name with the number 1: {"surface": "grass"} gives "surface grass".
    """
    found: dict[str, float] = {}
    for name, value in known.items():
        if isinstance(value, Mapping | list | tuple):
            inner = value.items() if isinstance(value, Mapping) else enumerate(value)
            found |= numbers_by_name({f"{name} {rest}": entry for rest, entry in inner})
        elif isinstance(value, str):
            found[f"{name} {value}"] = 1.0
        elif value is not None:
            found[str(name)] = float(value)
    return found


def stretches_of(episodes: Sequence[Episode]) -> list[list[Stretch]]:
    """The stretches of each episode; that of a branch begins after its history, which may be of other dynamics."""
    points = _branching_points(episodes)
    found = [list(_stretches(episode, f"episode {i}", points)) for i, episode in enumerate(episodes)]
    return [
        [s._replace(begin=max(s.begin, e.history)) for s in stretches] if e.is_branch else stretches
        for e, stretches in zip(episodes, found, strict=True)
    ]


def _stretches(episode: Episode, own: str, points: dict[_Point, int]) -> Iterable[Stretch]:
    """The stretches of one episode; `own` is the key of a situation that is this episode's alone."""
    tags, length = episode.tags, len(episode)
    if "situation" in tags:
        is_change = "scenario" in tags and isinstance(tags["situation"], dict)
        return [Stretch(0, length, situation_key(tags["situation"]), tags["situation"] if is_change else None)]
    if "scenario" not in tags:
        return [Stretch(0, length, own)]
    if episode.is_branch:
        scenario = situation_key(tags["scenario"])
        step = points.get((scenario, episode.obs[episode.history].tobytes()))
        # without its trunk the step is not known, and all branches of a scenario count as one situation
        if step is None:
            return [Stretch(0, length, f"branch of {scenario}")]
        return [_changed(0, length, change_in_force(episode, step))]
    offset = tags.get("begin_step", 0)
    begins = [0, *(change["at"] - offset for change in tags["scenario"]["changes"] if 0 < change["at"] - offset < length)]
    ends = [*begins[1:], length]
    return [_changed(b, e, change_in_force(episode, b + offset)) for b, e in zip(begins, ends, strict=True)]


def _known(episode: Episode, stretch: Stretch) -> dict[str, Any] | None:
    """What is known of the dynamics of a stretch of an episode."""
    situation = episode.tags.get("situation")
    return situation if isinstance(situation, dict) else stretch.change


def _changed(begin: int, end: int, change: dict[str, Any]) -> Stretch:
    return Stretch(begin, end, situation_key(change), change)


def _branching_points(episodes: Sequence[Episode]) -> dict[_Point, int]:
    """The scenario's step at which each observation was made, for branches of older stores, which do not say their situation."""
    if all("situation" in e.tags for e in episodes if e.is_branch):
        return {}
    points: dict[_Point, int] = {}
    for episode in episodes:
        if "scenario" in episode.tags and not episode.is_branch:
            scenario, offset = situation_key(episode.tags["scenario"]), episode.tags.get("begin_step", 0)
            points |= {(scenario, obs.tobytes()): offset + step for step, obs in enumerate(episode.obs[:-1])}
    return points


def tag_text(value: Any) -> str:
    """A tag's value as people read it, and as they write it behind a flag: 12, or "payload 40, surface grass"."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {tag_text(inner)}" for name, inner in sorted(value.items())) or "nominal"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


situation_key = json.JSONEncoder(sort_keys=True).encode
"""The key of a situation or of another tag's value: equal values have equal keys, whatever the order of their entries."""
