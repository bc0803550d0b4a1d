"""A network line in user space: passes Ethernet frames between two interfaces, late, in another order, or not at all.

Usage: python benchmarks/network_line.py IF1 IF2 [--delay S] [--jitter S] [--loss SHARE] [--reorder SHARE] [--seed N]

It does what Linux's own `tc netem` does, for kernels that are built without it. Delay, jitter and loss hold for each direction. A
reordered frame is sent at once and so overtakes those that wait, as netem does it. Jitter is a normal distribution; a frame with
more of it may be overtaken, too. Both interfaces belong to this process's namespace; it needs the right to open raw sockets.
"""

from __future__ import annotations

import argparse
import array
import fcntl
import heapq
import itertools
import random
import select
import socket
import struct
import sys
import time
from dataclasses import dataclass

ALL_PROTOCOLS = 0x0003
SIOCETHTOOL, ETHTOOL_SET_TX_CHECKSUMS = 0x8946, 0x17
MOST_BYTES = 65_535


@dataclass(frozen=True)
class Line:
    """What a line does to frames, in each direction.

    Attributes:
        delay: mean delay [s].
        jitter: standard deviation of the delay [s].
        loss: share of the frames that are lost.
        reorder: share of the frames that are not delayed.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    reorder: float = 0.0


class FrameQueue:
    """The frames on their way in one direction.

    Args:
        line: what happens to them.
        rng: where chance comes from.
    """

    def __init__(self, line: Line, rng: random.Random) -> None:
        self._line, self._rng, self._count = line, rng, itertools.count()
        self._waiting: list[tuple[float, int, bytes]] = []

    def put(self, frame: bytes, now: float) -> None:
        """Take a frame over at a time [s]; it may be lost."""
        line, rng = self._line, self._rng
        if rng.random() < line.loss:
            return
        delay = 0.0 if rng.random() < line.reorder else max(0.0, rng.gauss(line.delay, line.jitter))
        heapq.heappush(self._waiting, (now + delay, next(self._count), frame))

    def due(self, now: float) -> list[bytes]:
        """Frames that arrive until a time [s], in the order of their arrival."""
        arrived = []
        while self._waiting and self._waiting[0][0] <= now:
            arrived.append(heapq.heappop(self._waiting)[2])
        return arrived

    @property
    def next_time(self) -> float:
        """When the next frame arrives [s]; infinity if none is on its way."""
        return self._waiting[0][0] if self._waiting else float("inf")


def run(names: tuple[str, str], line: Line, seed: int) -> None:
    """Pass frames on until the process is ended."""
    ends = [_raw_socket(name) for name in names]
    queues = [FrameQueue(line, random.Random(f"{seed} {side}")) for side in (0, 1)]
    print("ready", flush=True)
    while True:
        wait = max(0.0, min(queue.next_time for queue in queues) - time.monotonic())
        readable, _, _ = select.select(ends, [], [], min(wait, 1.0))
        for side, end in enumerate(ends):
            if end in readable:
                frame, address = end.recvfrom(MOST_BYTES)
                # what this process sends is seen on the same socket, and must not go back
                if address[2] != socket.PACKET_OUTGOING:
                    queues[side].put(frame, time.monotonic())
            for arrived in queues[1 - side].due(time.monotonic()):
                end.send(arrived)


def leave_checksums_to_software(name: str) -> None:
    """Let the kernel compute the checksums of frames on an interface; otherwise the ones that we pass on would have none."""
    command = array.array("B", struct.pack("II", ETHTOOL_SET_TX_CHECKSUMS, 0))
    request = struct.pack("16sP", name.encode(), command.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        fcntl.ioctl(asked, SIOCETHTOOL, request)


def _raw_socket(name: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_PROTOCOLS))
    end.bind((name, ALL_PROTOCOLS))
    return end


def main() -> None:
    """Run until the process is ended."""
    parser = argparse.ArgumentParser(description="A network line between two interfaces, in user space.")
    parser.add_argument("names", nargs=2, metavar="IF")
    for name, unit in (("delay", "s"), ("jitter", "s"), ("loss", "share"), ("reorder", "share")):
        parser.add_argument(f"--{name}", type=float, default=0.0, help=unit)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    run((args.names[0], args.names[1]), Line(args.delay, args.jitter, args.loss, args.reorder), args.seed)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--software-checksums":
        leave_checksums_to_software(sys.argv[2])
    else:
        main()
