"""RTPS packets that are wrong below the level of messages: headers, submessages, discovery."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from benchmarks.rtps import (
    ACKNACK,
    DATA_FRAG,
    GAP,
    HEARTBEAT,
    INFO_DST,
    INFO_TS,
    NOBODY,
    PARTICIPANT_WRITER,
    announcement,
    data,
    packet,
    part,
)

GIGABYTES = 0x7FFFFFFF
"""Size that a fragment claims for its whole message [bytes]."""


class Packets:
    """Makes one wrong packet after the other, in the name of a participant that the receiver knows.

    Args:
        draw: the source of chance.
        prefix: the participant's id.
        writer: entity id of one of its writers, which the receiver listens to.
        ports: ports of the receiver.
    """

    def __init__(self, draw: random.Random, prefix: bytes, writer: bytes, ports: list[int]) -> None:
        self._draw, self._prefix, self._writer, self._ports = draw, prefix, writer, ports
        self._number = 0
        self.kinds: dict[str, Callable[[], bytes]] = {
            "noise": lambda: draw.randbytes(draw.randrange(1, 1400)),
            "noise after a right header": lambda: packet(prefix, draw.randbytes(draw.randrange(200))),
            "bits flipped in a packet": self._flip,
            "packet cut off": lambda: self._right()[: draw.randrange(60)],
            "another version or vendor": lambda: packet(
                prefix, self._data(), version=draw.randbytes(2), vendor=draw.randbytes(2)
            ),
            "submessage with a wrong length": lambda: packet(
                prefix, struct.pack("<BBH", draw.randrange(256), 1, draw.choice((0, 1, 3, 0xFFFF))) + draw.randbytes(40)
            ),
            "control submessage of noise": lambda: packet(
                prefix, part(draw.choice((HEARTBEAT, GAP, ACKNACK, INFO_TS, INFO_DST)), draw.randbytes(draw.randrange(64)))
            ),
            "fragment of gigabytes": self._fragment,
            "participant that is not there": self._participant,
            "announcement of noise": lambda: packet(
                draw.randbytes(12), data(PARTICIPANT_WRITER, 1, b"\x00\x03\x00\x00" + draw.randbytes(draw.randrange(200)))
            ),
        }

    def __call__(self) -> tuple[str, bytes]:
        """The next packet, and what is wrong with it."""
        kind = self._draw.choice(tuple(self.kinds))
        return kind, self.kinds[kind]()

    def _data(self) -> bytes:
        self._number += 1
        return data(self._writer, self._number, b"\x00\x01\x00\x00" + self._draw.randbytes(64))

    def _right(self) -> bytes:
        return packet(self._prefix, self._data())

    def _flip(self) -> bytes:
        made = bytearray(self._right())
        for _ in range(self._draw.choice((1, 4, 32))):
            made[self._draw.randrange(len(made))] ^= 1 << self._draw.randrange(8)
        return bytes(made)

    def _fragment(self) -> bytes:
        self._number += 1
        head = struct.pack("<HH4s4siI", 0, 28, NOBODY, self._writer, 0, self._number)
        which = struct.pack("<IHHI", self._draw.choice((1, 2, 0xFFFF)), 1, 1024, GIGABYTES)
        return packet(self._prefix, part(DATA_FRAG, head + which + self._draw.randbytes(1024)))

    def _participant(self) -> bytes:
        prefix = self._draw.randbytes(12)
        return packet(prefix, data(PARTICIPANT_WRITER, 1, announcement(prefix, self._draw.choice(self._ports), 2)))
