"""Measures the round trip of messages over DDS, between two machines, beside whatever else they send.

Usage: python benchmarks/round_trip_probe.py echo|ask --domain N --interface NAME [--count N] [--rate HZ]

The side that asks sends numbered messages as a robot sends observations, best effort; the side that echoes answers as a
controller sends commands, reliably. `ask` prints a JSON list of round trips [s], with null for those that did not come back
within a second.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import Float64MultiArray

ASK, ANSWER = "/probe/observation", "/probe/command"


def echo(transport: DdsTransport) -> None:
    """Answer until standard input ends."""
    publish = transport.publisher(ANSWER, Float64MultiArray)
    transport.subscribe(ASK, Float64MultiArray, lambda message, received: publish(message))
    print("ready", flush=True)
    sys.stdin.read()


def ask(transport: DdsTransport, count: int, rate: float) -> list[float | None]:
    """Round trips of numbered messages [s], None for those that are lost."""
    back: dict[int, float] = {}
    transport.subscribe(ANSWER, Float64MultiArray, lambda m, received: back.setdefault(int(m.data[0]), received), reliable=True)
    publish = transport.publisher(ASK, Float64MultiArray, reliable=False)
    until = time.monotonic() + 20.0
    while -1 not in back and time.monotonic() < until:
        publish(Float64MultiArray(data=[-1.0]))
        time.sleep(0.1)
    sent = []
    begin = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begin + number / rate - time.monotonic()))
        sent.append(time.monotonic())
        publish(Float64MultiArray(data=[float(number)]))
    time.sleep(1.0)
    return [back[number] - moment if number in back else None for number, moment in enumerate(sent)]


def main() -> None:
    """Ask or answer."""
    parser = argparse.ArgumentParser(description="Round trips of messages over DDS.")
    parser.add_argument("side", choices=("echo", "ask"))
    parser.add_argument("--domain", type=int, default=0)
    parser.add_argument("--interface", default="lo")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rate", type=float, default=25.0)
    args = parser.parse_args()
    transport = DdsTransport(args.domain, args.interface)
    if args.side == "echo":
        echo(transport)
    else:
        print(json.dumps(ask(transport, args.count, args.rate)))
    transport.close()


if __name__ == "__main__":
    main()
