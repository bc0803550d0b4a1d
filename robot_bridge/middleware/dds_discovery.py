"""What discovery tells of participants and their endpoints, read without losing memory, from any thread, whatever it holds.

`cyclonedds` copies every policy each time that an endpoint is read. It never frees the copies of user data, group data, topic
data and partitions: a node that looks at two dozen endpoints once a second grew by about 10 MB in an hour. Other copies it keeps
in variables of a class, which two threads must not use at once. A name that is no UTF-8 ends its look at all endpoints with an
exception, and loses the memory of all of them. Whoever is on the network may announce such a name. So only what is needed is read
here, from Cyclone DDS's own samples, and these are given back.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from cyclonedds.builtin import BuiltinDataReader
from cyclonedds.core import DDSException, InstanceState, SampleState, ViewState
from cyclonedds.internal import dds_c_t, load_cyclonedds
from cyclonedds.qos import _CQos
from cyclonedds.sub import DataReader

_MAX_SAMPLES = 10_000
"""Largest number of endpoints that are read; the network of one robot has far fewer."""
_ALIVE = SampleState.Any | ViewState.Any | InstanceState.Alive
_ADDRESSES = ctypes.c_char_p(b"__NetworkAddresses")
_OWN_PROCESS = "localprocess"
"""What Cyclone DDS gives as the addresses of participants of the same process."""
_BEST_EFFORT = 0


class _Participant(ctypes.Structure):
    """Cyclone DDS's `dds_builtintopic_participant_t`."""

    _fields_ = (("key", dds_c_t.guid), ("qos", dds_c_t.qos_p))


class _Endpoint(ctypes.Structure):
    """Cyclone DDS's `dds_builtintopic_endpoint_t`."""

    _fields_ = (
        ("key", dds_c_t.guid),
        ("participant_key", dds_c_t.guid),
        ("participant_handle", ctypes.c_uint64),
        ("topic_name", ctypes.c_char_p),
        ("type_name", ctypes.c_char_p),
        ("qos", dds_c_t.qos_p),
    )


SampleT = TypeVar("SampleT", _Participant, _Endpoint)

_DDS = load_cyclonedds()
_POINTERS, _INFOS = ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(dds_c_t.sample_info)
_DDS.dds_read_mask.argtypes = (dds_c_t.entity, _POINTERS, _INFOS, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_uint32)
_DDS.dds_read_mask.restype = dds_c_t.returnv
_DDS.dds_return_loan.argtypes = (dds_c_t.entity, _POINTERS, ctypes.c_int32)
_DDS.dds_return_loan.restype = dds_c_t.returnv
_DDS.dds_get_matched_publication_data.argtypes = (dds_c_t.entity, ctypes.c_uint64)
_DDS.dds_get_matched_publication_data.restype = ctypes.POINTER(_Endpoint)
_DDS.dds_builtintopic_free_endpoint.argtypes = (ctypes.POINTER(_Endpoint),)
_DDS.dds_builtintopic_free_endpoint.restype = None


@dataclass(frozen=True)
class RemoteParticipant:
    """A participant, of this process or another one.

    Attributes:
        guid: its number on the network, 32 hexadecimal digits.
        is_own: whether it is in this process.
    """

    guid: str
    is_own: bool


@dataclass(frozen=True)
class RemoteEndpoint:
    r"""A writer or reader, of this process or another one.

    Attributes:
        guid: its number on the network, 32 hexadecimal digits.
        participant: that of its participant.
        topic_name: DDS's name of its topic. Bytes that are no UTF-8 stand there as ``\xff``: no topic that a bridge looks for
            has a backslash in its name, so that such an endpoint is shown, and taken for none of these.
        type_name: DDS's name of its type, in the same form.
        name: its own name; empty if it has none, or one that is no text.
        reliable: whether delivery is confirmed.
    """

    guid: str
    participant: str
    topic_name: str
    type_name: str
    name: str
    reliable: bool


def participants(reader: BuiltinDataReader) -> list[RemoteParticipant]:
    """The participants that are there; `reader` is one of `BuiltinTopicDcpsParticipant`."""
    with _alive(reader, _Participant) as found:
        return [RemoteParticipant(_hex(sample.key), _addresses(sample.qos) == _OWN_PROCESS) for sample in found]


def endpoints(reader: BuiltinDataReader) -> list[RemoteEndpoint]:
    """The endpoints that are there; `reader` is one of `BuiltinTopicDcpsPublication` or `BuiltinTopicDcpsSubscription`."""
    with _alive(reader, _Endpoint) as found:
        return [_remote(sample) for sample in found]


def matched_publication(reader: DataReader, handle: int) -> RemoteEndpoint | None:
    """The publisher with this handle among those of a reader; None if it has gone."""
    found = _DDS.dds_get_matched_publication_data(reader._ref, handle)
    if not found:
        return None
    try:
        return _remote(found.contents)
    finally:
        _DDS.dds_builtintopic_free_endpoint(found)


@contextmanager
def _alive(reader: BuiltinDataReader, kind: type[SampleT]) -> Iterator[list[SampleT]]:
    """What a reader of a built-in topic holds of those that have not gone, which must not be kept for longer than this.

    Raises:
        DDSException: the reader cannot be read.
    """
    # without an address in it, the first array is filled with those of Cyclone DDS's own samples, which it lends
    pointers, infos = (ctypes.c_void_p * _MAX_SAMPLES)(), (dds_c_t.sample_info * _MAX_SAMPLES)()
    number = _DDS.dds_read_mask(reader._ref, pointers, infos, _MAX_SAMPLES, _MAX_SAMPLES, _ALIVE)
    if number < 0:
        raise DDSException(number, "when looking who is on the network")
    try:
        found = zip(pointers[:number], infos[:number], strict=True)
        yield [kind.from_address(address) for address, info in found if address and info.valid_data]
    finally:
        _DDS.dds_return_loan(reader._ref, pointers, number)


def _remote(sample: _Endpoint) -> RemoteEndpoint:
    kind, blocking_time = dds_c_t.reliability(), dds_c_t.duration()
    is_known = _CQos._get_reliability(sample.qos, ctypes.byref(kind), ctypes.byref(blocking_time))
    return RemoteEndpoint(
        _hex(sample.key),
        _hex(sample.participant_key),
        _shown(sample.topic_name),
        _shown(sample.type_name),
        _text(lambda found: _CQos._get_entity_name(sample.qos, found)),
        bool(is_known) and kind.value != _BEST_EFFORT,
    )


def _hex(key: Any) -> str:
    return bytes(key.v).hex()


def _addresses(qos: int) -> str:
    return _text(lambda found: _CQos._get_property_value(qos, _ADDRESSES, found, ctypes.c_bool()))


def _shown(name: bytes | None) -> str:
    return (name or b"").decode(errors="backslashreplace")


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
