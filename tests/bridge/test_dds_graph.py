"""Who publishes what on a domain, also beside publishers that write wrong things into DDS's discovery."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.dds_graph import _alive
from robot_bridge.middleware.dds_qos import matched_publication
from robot_bridge.middleware.endpoints import Endpoint, Sender
from robot_bridge.middleware.messages import String
from tests.bridge.waiting import PATIENCE, wait_until

DOMAIN = 60 + os.getpid() % 100
HOSTILE = f"""
import time
from robot_bridge.middleware import dds
from robot_bridge.middleware.messages import String
from cyclonedds.qos import _CQos

transport = dds.DdsTransport({DOMAIN}, name="usual")
keep = [transport.publisher("/usual", String)]
_CQos._set_p_entityname = classmethod(lambda cls, qos, policy: cls._set_entity_name(qos, b"\\xff\\xfe"))
keep.append(transport.publisher("/hostile", String))
print("ready", flush=True)
while True:
    keep[1](String("x"))
    time.sleep(0.02)
"""


def test_what_is_collected_in_a_cycle_is_gone_from_the_network():
    watching = DdsTransport(DOMAIN).graph()

    def found() -> int:
        endpoints = [*_alive(watching._publishers), *_alive(watching._subscribers)]
        return sum(endpoint.topic_name == "rt/in_a_cycle" for endpoint in endpoints)

    made = DdsTransport(DOMAIN)
    cycle: list[object] = [made, made.graph()]
    cycle.append(made.publisher("/in_a_cycle", String))
    made.subscribe("/in_a_cycle", String, lambda message, received, kept=cycle: kept.clear())
    cycle.append(cycle)
    wait_until(lambda: found() == 2)
    participants = len(_alive(watching._participants))

    made.close()
    del made, cycle
    gc.collect()

    wait_until(lambda: found() == 0)
    wait_until(lambda: len(_alive(watching._participants)) == participants - 1)


@pytest.fixture
def hostile() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", HOSTILE], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield
    process.kill()
    process.communicate(timeout=PATIENCE)


def test_a_publisher_whose_name_is_no_text_hides_no_other_and_is_seen_without_a_name(hostile: None):
    transport = DdsTransport(DOMAIN)
    graph, found = transport.graph(), dict[str, Endpoint]()

    def has_found_both() -> bool:
        found.update({endpoint.topic: endpoint for endpoint in graph.endpoints()})
        return {"/usual", "/hostile"} <= set(found)

    wait_until(has_found_both)
    assert graph.publishers("/usual") == [found["/usual"].sender]
    transport.close()

    assert (found["/usual"].sender.node, found["/hostile"].sender.node) == ("usual", "")


def test_messages_of_a_publisher_whose_name_is_no_text_come_of_its_number(hostile: None):
    transport, senders = DdsTransport(DOMAIN), set[Sender]()
    graph = transport.graph()
    transport.subscribe("/hostile", String, lambda message, at: None, accept=lambda sender: bool(senders.add(sender)))

    wait_until(lambda: bool(senders) and senders <= set(graph.publishers("/hostile")))
    transport.close()

    assert [(len(sender.guid), sender.node) for sender in senders] == [(32, "")]
    assert not transport.reception.refused


def test_a_publisher_that_has_gone_is_nobody():
    transport = DdsTransport(DOMAIN)
    transport.subscribe("/nothing", String, lambda message, at: None)

    assert matched_publication(transport._readers[-1].reader, 12345) is None
    transport.close()


class MallInfo(ctypes.Structure):
    """The answer of glibc's `mallinfo2`."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks"))
    _fields_ += tuple((name, ctypes.c_size_t) for name in ("fsmblks", "uordblks", "fordblks", "keepcost"))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs glibc 2.33, which counts the memory in use")
def test_looking_at_the_network_again_and_again_takes_no_memory(hostile: None):
    allocated = ctypes.CDLL(None).mallinfo2
    allocated.restype = MallInfo
    transport = DdsTransport(DOMAIN)
    graph, looks = transport.graph(), 300
    wait_until(lambda: len(graph.endpoints()) >= 2)

    for _ in range(looks):
        graph.endpoints()
    before = allocated().uordblks
    for _ in range(looks):
        graph.endpoints()
    grown = allocated().uordblks - before
    transport.close()

    # one copy of one policy of one endpoint takes at least 16 bytes of it
    assert grown < 16 * looks
