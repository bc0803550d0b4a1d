"""Entities of Cyclone DDS: deleted with their Python objects, and counted while others come and go."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TypeVar

from cyclonedds.core import Entity
from cyclonedds.internal import load_cyclonedds

EntityT = TypeVar("EntityT", bound=Entity)


def deleted_with_its_object(entity: EntityT) -> EntityT:
    """The same entity, which DDS deletes when the object is collected, also as part of a cycle.

    The finaliser of cyclonedds looks for the entity in a dictionary of weak references. Python has cleared these before it
    finalises a cycle, so that the entity would stay: matched, discovered, and taking memory, until the process ends.
    """
    # an entity that cyclonedds has deleted already is known by no number any more, and deleting it again does nothing
    weakref.finalize(entity, load_cyclonedds().dds_delete, entity._ref).atexit = False
    return entity


def match_count(matches: Callable[[], list[int]]) -> int:
    """How many readers or writers discovery has matched with one of ours.

    Args:
        matches: the `get_matched_subscriptions` of a writer or the `get_matched_publications` of a reader. These ask for the
            number first and then for a list of this length, and raise an IndexError if another one is matched in between.
    """
    while True:
        try:
            return len(matches())
        except IndexError:
            continue
