"""What discovery tells of a remote endpoint or participant, read without losing memory and from any thread.

`cyclonedds` copies every policy each time that an endpoint is read. It never frees the copies of user data, group data, topic
data and partitions: a node that looks at two dozen endpoints once a second grew by about 10 MB in an hour. Other copies it keeps
in variables of a class, which two threads must not use at once. So only what is needed is read here, and freed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cyclonedds._clayer import ddspy_get_matched_publication_data  # type: ignore[import-not-found]
from cyclonedds.builtin_types import endpoint_constructor
from cyclonedds.internal import dds_c_t
from cyclonedds.qos import _CQos
from cyclonedds.sub import DataReader

_ADDRESSES = ctypes.c_char_p(b"__NetworkAddresses")
_OWN_PROCESS = "localprocess"
"""What Cyclone DDS gives as the addresses of participants of the same process."""
_BEST_EFFORT = 0


@dataclass(frozen=True)
class RemoteQos:
    """The settings of an endpoint or participant that a bridge looks at.

    Attributes:
        name: its own name; empty if it has none, or one that is no text, which must not hide the others.
        reliable: whether delivery is confirmed.
        is_own: whether it is in this process; known of participants only.
    """

    name: str
    reliable: bool
    is_own: bool


def remote_qos(pointer: int) -> RemoteQos:
    """Read the settings at the address of Cyclone DDS's own form of them."""
    settings = ctypes.cast(pointer, dds_c_t.qos_p)
    kind, blocking_time = dds_c_t.reliability(), dds_c_t.duration()
    is_known = _CQos._get_reliability(settings, ctypes.byref(kind), ctypes.byref(blocking_time))
    addresses = _text(lambda found: _CQos._get_property_value(settings, _ADDRESSES, found, ctypes.c_bool()))
    name = _text(lambda found: _CQos._get_entity_name(settings, found))
    return RemoteQos(name, bool(is_known) and kind.value != _BEST_EFFORT, addresses == _OWN_PROCESS)


def matched_publication(reader: DataReader, handle: int) -> Any:
    """The publisher with this handle among those of a reader, a `DcpsEndpoint` whose `qos` is a `RemoteQos`.

    None if it has gone, or if its type's name is no text, for which Cyclone DDS has no exception of its own.
    """
    try:
        return ddspy_get_matched_publication_data(reader._ref, handle, endpoint_constructor, remote_qos)
    except Exception:
        return None


def _text(get: Callable[[Any], bool]) -> str:
    """What a getter of Cyclone DDS copies; empty if there is nothing, or no text. The copy is freed."""
    copy = ctypes.c_char_p()
    if not get(ctypes.byref(copy)) or copy.value is None:
        return ""
    try:
        return copy.value.decode()
    except UnicodeDecodeError:
        return ""
    finally:
        _CQos.free(copy)
