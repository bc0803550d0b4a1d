"""Participants that come and go: each offers a writer and a reader that do not fit the bridge's.

python -m benchmarks.fuzz_visitors DOMAIN

Ends when stdin is closed, and prints how many there were.
"""

from __future__ import annotations

import sys
import threading

from cyclonedds.core import DDSException, Policy, Qos
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

from robot_bridge.middleware.cyclone import configuration
from robot_bridge.middleware.dds import idl_type
from robot_bridge.middleware.messages import Float64MultiArray, Imu, JointState

STAY_SECONDS = 0.2
"""How long each of them stays [s]."""


def visit(domain: int, number: int, end: threading.Event) -> None:
    """Come, offer what does not fit, and go."""
    participant = DomainParticipant(domain)
    exclusive = Qos(Policy.Ownership.Exclusive, Policy.Reliability.Reliable(duration(milliseconds=10)))
    persistent = Qos(Policy.Durability.TransientLocal, Policy.Reliability.Reliable(duration(milliseconds=10)))
    # every second one has another type under the name of the topic
    kind = Imu if number % 2 else JointState
    states = DataWriter(participant, Topic(participant, "rt/joint_states", idl_type(kind)), exclusive)
    commands = DataReader(participant, Topic(participant, "rt/commands", idl_type(Float64MultiArray)), persistent)
    end.wait(STAY_SECONDS)
    del states, commands, participant


def main() -> None:
    """Visit until stdin is closed."""
    domain, end, visits = int(sys.argv[1]), threading.Event(), 0

    def listen() -> None:
        sys.stdin.read()
        end.set()

    threading.Thread(target=listen, daemon=True).start()
    kept = Domain(domain, configuration("lo"))
    while not end.is_set():
        try:
            visit(domain, visits, end)
        except DDSException:
            # all of the domain's indices are taken for a moment
            end.wait(STAY_SECONDS)
        visits += 1
    print(visits, flush=True)
    del kept


if __name__ == "__main__":
    main()
