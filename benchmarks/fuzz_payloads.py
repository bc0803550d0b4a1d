"""Messages that are wrong in one of many ways, made from right ones."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable

from robot_bridge.middleware.dds import to_wire
from robot_bridge.middleware.messages import Float64MultiArray, Header, Imu, JointState, Time

EXTREMES = (float("nan"), float("inf"), float("-inf"), 1.7e308, -1.7e308, 5e-324, -0.0, 1e6, -1e6, 1e-300)
LENGTHS = (0, 1, 0x7F, 0xFF, 0xFFFF, 1_000_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
ENCAPSULATION, STAMP = 4, slice(4, 12)
"""Length of the header of each message, and where the stamp of a message with a header is [bytes]."""


def joint_state(draw: random.Random, stamp: float, joints: int = 2) -> JointState:
    """A state of the cart-pole that is right, with more joints if wanted."""
    names = ["slider", "hinge_1", *(f"joint_{i}" for i in range(joints - 2))]
    position, velocity = ([draw.uniform(-1, 1) for _ in names] for _ in range(2))
    return JointState(Header(Time.of(stamp)), names, position, velocity, [])


def encoded(message: object) -> bytearray:
    """A message as it is on the wire."""
    return bytearray(to_wire(message).serialize())


class Template:
    """A right message, encoded once, of which stamp and numbers are written anew each time: encoding takes far longer.

    Args:
        joints: number of joints.
    """

    def __init__(self, joints: int = 2) -> None:
        marked = joint_state(random.Random(0), 0.0, joints)
        marks = [1.0 + k for k in range(4)]
        marked.position[:2], marked.velocity[:2] = marks[:2], marks[2:]
        self._content = bytes(encoded(marked))
        self._numbers = [self._content.index(struct.pack("<d", mark)) for mark in marks]

    def __call__(self, draw: random.Random, stamp: float) -> bytearray:
        """The message with this stamp and other numbers."""
        made = bytearray(self._content)
        struct.pack_into("<iI", made, STAMP.start, int(stamp), int(stamp % 1 * 1e9))
        for index in range(4):
            self.write(made, index, draw.uniform(-1, 1))
        return made

    def write(self, message: bytearray, index: int, value: float) -> None:
        """Write one of the four numbers: two positions and two velocities."""
        struct.pack_into("<d", message, self._numbers[index], value)


class Payloads:
    """Makes one wrong message after the other.

    Args:
        draw: the source of chance.
        now: gives the time for right stamps, since the epoch [s].
    """

    def __init__(self, draw: random.Random, now: Callable[[], float] = time.time) -> None:
        self._draw, self._now = draw, now
        self._right, self._large = Template(), [Template(joints) for joints in (100, 400, 1500)]
        self._others = [bytes(encoded(each)) for each in (Imu(), Float64MultiArray(data=[1.0, 2.0]))]
        self._last = bytes(self._right(draw, now()))
        self.kinds: dict[str, Callable[[bytearray], bytes | bytearray]] = {
            "right": lambda good: good,
            "bits flipped": self._flip,
            "cut off": lambda good: good[: draw.randrange(len(good))],
            "too long": lambda good: good + draw.randbytes(draw.choice((1, 3, 64, 4096))),
            "wrong length": self._length,
            "extreme number": self._extreme,
            "wrong encapsulation": lambda good: draw.randbytes(ENCAPSULATION) + good[ENCAPSULATION:],
            "duplicate": lambda good: self._last,
            "stamp out of order": self._stamp,
            "names that are no text": lambda good: good.replace(
                b"slider", draw.choice((b"\xff\xfe\xfd\xfc\xfb\xfa", b"sl\x00der"))
            ),
            "noise": lambda good: draw.randbytes(draw.randrange(2048)),
            "another type": self._other,
            "many joints": lambda good: draw.choice(self._large)(draw, now()),
        }

    def __call__(self) -> tuple[str, bytes]:
        """The next message, and what is wrong with it."""
        kind = self._draw.choice(tuple(self.kinds))
        made = bytes(self.kinds[kind](self._right(self._draw, self._now())))
        self._last = made
        return kind, made

    def _flip(self, good: bytearray) -> bytearray:
        for _ in range(self._draw.choice((1, 1, 2, 8, 64))):
            good[self._draw.randrange(len(good))] ^= 1 << self._draw.randrange(8)
        return good

    def _length(self, good: bytearray) -> bytearray:
        at = 4 * self._draw.randrange(1, len(good) // 4)
        struct.pack_into("<I", good, at, self._draw.choice(LENGTHS))
        return good

    def _extreme(self, good: bytearray) -> bytearray:
        self._right.write(good, self._draw.randrange(4), self._draw.choice(EXTREMES))
        return good

    def _stamp(self, good: bytearray) -> bytearray:
        seconds = self._draw.choice((-3600.0, -2.0, -0.5, 0.5, 2.0, 3600.0))
        wrong = (int(self._now() + seconds), self._draw.choice((0, 999_999_999, 0xFFFFFFFF)))
        anything = (self._draw.randrange(-(2**31), 2**31), self._draw.randrange(2**32))
        struct.pack_into("<iI", good, STAMP.start, *self._draw.choice((wrong, anything)))
        return good

    def _other(self, good: bytearray) -> bytes:
        # of an IMU the stamp is that of a state, so that it is new
        return bytes(good[: STAMP.stop]) + self._draw.choice(self._others)[STAMP.stop :]
