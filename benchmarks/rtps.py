"""Packets of RTPS, the protocol below DDS (OMG formal/2022-04-01), written by hand so that they may be wrong."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

ECLIPSE = b"\x01\x10"
"""Vendor id of Cyclone DDS."""
DATA, DATA_FRAG, HEARTBEAT, GAP, ACKNACK, INFO_TS, INFO_DST = 0x15, 0x16, 0x07, 0x08, 0x06, 0x09, 0x0E
PARTICIPANT_WRITER = bytes.fromhex("000100c2")
"""Entity id of the writer that announces participants."""
PUBLICATION_WRITER = bytes.fromhex("000003c2")
"""Entity id of the writer that announces a participant's writers."""
NOBODY = bytes(4)
"""Entity id that stands for all readers."""
_LITTLE_ENDIAN, _WITH_DATA = 0x01, 0x04


def packet(prefix: bytes, *parts: bytes, version: bytes = b"\x02\x01", vendor: bytes = ECLIPSE) -> bytes:
    """A packet of a participant.

    Args:
        prefix: the first twelve bytes of the participant's id.
        parts: its submessages.
        version: version of the protocol, major and minor.
        vendor: id of the implementation.
    """
    return b"RTPS" + version + vendor + prefix + b"".join(parts)


def part(kind: int, content: bytes, flags: int = _LITTLE_ENDIAN) -> bytes:
    """A submessage."""
    return struct.pack("<BBH", kind, flags, min(len(content), 0xFFFF)) + content


def data(writer: bytes, number: int, payload: bytes, reader: bytes = NOBODY) -> bytes:
    """A submessage that carries a sample.

    Args:
        writer: entity id of the writer.
        number: its sequence number.
        payload: the sample, encapsulation included.
        reader: entity id of the reader that it is for.
    """
    head = struct.pack("<HH4s4siI", 0, 16, reader, writer, number >> 32, number & 0xFFFFFFFF)
    return part(DATA, head + payload, _LITTLE_ENDIAN | _WITH_DATA)


def announcement(prefix: bytes, port: int, lease_seconds: int = 10) -> bytes:
    """The sample by which a participant of this id says that it is there, at a port of this machine."""
    locator = struct.pack("<iI12s4B", 1, port, bytes(12), 127, 0, 0, 1)
    parameters = (
        (0x0015, b"\x02\x01\x00\x00"),
        (0x0016, ECLIPSE + b"\x00\x00"),
        (0x0050, prefix + bytes.fromhex("000001c1")),
        (0x0058, struct.pack("<I", 0x0000003F)),
        (0x0002, struct.pack("<iI", lease_seconds, 0)),
        (0x0031, locator),
        (0x0032, locator),
    )
    return _parameter_list(parameters)


def publication(prefix: bytes, writer: bytes, topic: bytes, kind: bytes) -> bytes:
    """The sample by which a participant of this id says that it has a writer, whatever the names are.

    Args:
        prefix: the first twelve bytes of the participant's id.
        writer: entity id of the writer.
        topic: name of its topic.
        kind: name of the topic's type.
    """
    return _parameter_list(((0x005A, prefix + writer), (0x0005, _text(topic)), (0x0007, _text(kind))))


def heartbeat(writer: bytes, first: int, last: int, count: int) -> bytes:
    """A submessage by which a writer says which samples it has.

    Args:
        writer: entity id of the writer.
        first: the sequence number of the oldest one.
        last: that of the newest one; one less than `first` if there is none.
        count: the number of this submessage, counted up.
    """
    numbers = (word for number in (first, last) for word in (number >> 32, number & 0xFFFFFFFF))
    return part(HEARTBEAT, struct.pack("<4s4siIiIi", NOBODY, writer, *numbers, count))


def _text(text: bytes) -> bytes:
    content = struct.pack("<I", len(text) + 1) + text + b"\x00"
    return content + bytes(-len(content) % 4)


def _parameter_list(parameters: Iterable[tuple[int, bytes]]) -> bytes:
    content = b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in parameters)
    return b"\x00\x03\x00\x00" + content + struct.pack("<HH", 1, 0)


def udp_ports(process: int) -> list[int]:
    """The UDP ports that a process listens on, in this process's network namespace."""
    sockets = set()
    for link in Path(f"/proc/{process}/fd").iterdir():
        try:
            sockets.add(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))
        except OSError:
            continue
    rows = (line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:])
    return sorted({int(row[1].partition(":")[2], 16) for row in rows if row[9] in sockets})
