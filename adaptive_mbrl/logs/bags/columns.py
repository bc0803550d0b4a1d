"""The columns of a bag: a number or a text in the messages of a topic, such as `/imu.orientation.x`.

One entry of a list is written `/joint_states.position[0]`, or by the name that the message gives it,
`/joint_states.position[elbow]`. Drivers may list their joints in another order at each start, so names are what counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.bags.definitions import Field, Types

_STEP = re.compile(r"(\w+)(?:\[([^\[\]]+)\])?(?:\.|$)")
_MOST_NAMES = 30


@dataclass(frozen=True)
class _Step:
    """One step into a message.

    Attributes:
        field: the field to go to.
        entry: which entry of a list, by its place or its name; None for a field that is no list.
        names: the list of the entries' names: how many steps into the message it is, and its field.
    """

    field: str
    entry: int | str | None = None
    names: tuple[int, str] | None = None


@dataclass
class BagColumn:
    """A column of a bag.

    Attributes:
        name: its name.
        key: the key of the YAML file that names it.
        topic: the topic whose messages hold it.
        type: base type of the values, such as `float64` or `string`.
        steps: the way to the value in a message.
        others: names of entries in messages that lack the wanted one.
    """

    name: str
    key: str
    topic: str
    type: str
    steps: tuple[_Step, ...]
    others: set[str] = field(default_factory=set)

    def value(self, message: Mapping[str, Any]) -> Any:
        """The value in a message; None if the message does not hold it."""
        found: Any = message
        way = [found]
        for step in self.steps:
            found = found[step.field]
            place = self._place(step, way)
            if place is not None:
                if place >= len(found):
                    return None
                found = found[place]
            way.append(found)
        return found

    def missing(self) -> str:
        """What to tell a user if no message holds the column."""
        hint = did_you_mean(_entry_of(self.steps), sorted(self.others)) if self.others else ""
        known = f"; names in its messages: {_listed(sorted(self.others))}" if self.others else ""
        return f"column '{self.name}' (key '{self.key}'): no message of {self.topic} holds it{hint}{known}"

    def _place(self, step: _Step, way: Sequence[Any]) -> int | None:
        """Which entry of a list the step takes; one that is not there has the place after the last one."""
        if not isinstance(step.entry, str) or step.names is None:
            return step.entry if isinstance(step.entry, int) else None
        depth, names_field = step.names
        names: list[str] = way[depth][names_field]
        if step.entry in names:
            return names.index(step.entry)
        self.others.update(names)
        return 2**63 - 1


def column_of(name: str, key: str, topics: Mapping[str, str], types: Types) -> BagColumn:
    """The column that a name means.

    Args:
        name: the name, a topic and a way into its messages.
        key: the key of the YAML file that names it.
        topics: message type of each topic.
        types: the fields of each message type.

    Raises:
        ConfigError: the bag has no such column.
    """
    unknown = f"no column '{name}' (key '{key}')"
    topic = topic_of(name, key, topics)
    message_types, steps = [topics[topic]], []
    rest, reached = name[len(topic) + 1 :], topic
    leaf = None
    while rest:
        step = _STEP.match(rest)
        if step is None or leaf is not None:
            raise ConfigError(f"{unknown}: nothing is known by '{rest}' in '{reached}'; {_columns(topic, topics[topic], types)}")
        field_, entry = _field(unknown, reached, step[1], message_types[-1], types), step[2]
        rest, reached = rest[step.end() :], f"{reached}.{step[0].rstrip('.')}"
        steps.append(_step(unknown, reached, field_, entry, message_types, types))
        if field_.is_message:
            message_types.append(field_.type)
        else:
            leaf = field_
    if leaf is None:
        parts = [f"{reached}.{part}" for part in _leaves(message_types[-1], types)]
        raise ConfigError(f"{unknown}: '{reached}' has parts; allowed: {_listed(parts)}")
    return BagColumn(name, key, topic, leaf.type, tuple(steps))


def topic_of(name: str, key: str, topics: Mapping[str, str]) -> str:
    """The topic of a column.

    Raises:
        ConfigError: the bag has no such topic.
    """
    found = [topic for topic in topics if name == topic or name.startswith(f"{topic}.")]
    if not found:
        known = sorted(topics)
        wanted = name.partition(".")[0]
        has = ", ".join(f"{topic} ({topics[topic]})" for topic in known[:_MOST_NAMES]) or "none"
        raise ConfigError(f"no topic '{wanted}' (key '{key}'){did_you_mean(wanted, known)}; topics in the bag: {has}")
    return max(found, key=len)


def _field(unknown: str, reached: str, name: str, message_type: str, types: Types) -> Field:
    fields = {field.name: field for field in types[message_type]}
    if name not in fields:
        raise ConfigError(
            f"{unknown}{did_you_mean(name, list(fields))}; fields of '{reached}' ({message_type}): {_listed(list(fields))}"
        )
    return fields[name]


def _step(unknown: str, reached: str, field: Field, entry: str | None, way: Sequence[str], types: Types) -> _Step:
    """The step to a field; `way` has the types of the messages around it, the outermost one first."""
    if not field.is_many:
        if entry is not None:
            raise ConfigError(f"{unknown}: '{field.name}' is no list; leave out '[{entry}]'")
        return _Step(field.name)
    if entry is None:
        raise ConfigError(f"{unknown}: '{reached}' is a list; allowed: one of its entries, such as '{reached}[0]'")
    if entry.isdigit():
        if field.size is not None and int(entry) >= field.size:
            raise ConfigError(f"{unknown}: '{field.name}' has {field.size} entries; allowed: [0] to [{field.size - 1}]")
        return _Step(field.name, int(entry))
    for depth in reversed(range(len(way))):
        for names in types[way[depth]]:
            if names.is_many and names.type == "string" and names.name.endswith(("name", "names")) and names != field:
                return _Step(field.name, entry, (depth, names.name))
    raise ConfigError(f"{unknown}: {way[0]} has no list of names, so '{entry}' says nothing; allowed: a number, as in '[0]'")


def _entry_of(steps: Sequence[_Step]) -> str:
    return next((step.entry for step in reversed(steps) if isinstance(step.entry, str)), "")


def _columns(topic: str, message_type: str, types: Types) -> str:
    return f"columns of {topic}: {_listed([f'{topic}.{leaf}' for leaf in _leaves(message_type, types)])}"


def _leaves(message_type: str, types: Types) -> Iterator[str]:
    """The ways to all values of a message; of a list, that to its first entry."""
    for part in types.get(message_type, ()):
        name = f"{part.name}[0]" if part.is_many else part.name
        if part.is_message:
            yield from (f"{name}.{leaf}" for leaf in _leaves(part.type, types))
        else:
            yield name


def _listed(names: Sequence[str]) -> str:
    return (", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")) or "none"
