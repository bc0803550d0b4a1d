"""Who publishes what on a domain, also beside publishers that write wrong things into DDS's discovery."""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from cyclonedds._clayer import ddspy_write
from cyclonedds.domain import DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.topic import Topic

from benchmarks.rtps import PARTICIPANT_WRITER, PUBLICATION_WRITER, announcement, data, heartbeat, packet, publication, udp_ports
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.dds_discovery import endpoints, matched_publication, participants
from robot_bridge.middleware.endpoints import Endpoint, Sender
from robot_bridge.middleware.messages import String
from robot_bridge.middleware.ros_nodes import TOPIC, Gid, NodeEntities, ParticipantEntities, RosNodes, discovery_qos
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
        seen = [*endpoints(watching._publishers), *endpoints(watching._subscribers)]
        return sum(endpoint.topic_name == "rt/in_a_cycle" for endpoint in seen)

    made = DdsTransport(DOMAIN)
    cycle: list[object] = [made, made.graph()]
    cycle.append(made.publisher("/in_a_cycle", String))
    made.subscribe("/in_a_cycle", String, lambda message, received, kept=cycle: kept.clear())
    cycle.append(cycle)
    wait_until(lambda: found() == 2)
    before = len(participants(watching._participants))

    made.close()
    del made, cycle
    gc.collect()

    wait_until(lambda: found() == 0)
    wait_until(lambda: len(participants(watching._participants)) == before - 1)


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


@contextmanager
def announced(*writers: tuple[bytes, bytes]) -> Iterator[Callable[[], None]]:
    """A participant that is made of packets alone, with writers of these topics and types, for some seconds.

    Args:
        writers: names of the topic and of its type, for each writer.

    Yields:
        A function that announces it once more.
    """
    prefix, counts = os.urandom(12), itertools.count(1)
    samples = [publication(prefix, bytes([0, 0, i, 3]), *names) for i, names in enumerate(writers, start=1)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        itself = data(PARTICIPANT_WRITER, 1, announcement(prefix, sender.getsockname()[1]))

        def announce() -> None:
            parts = [heartbeat(PUBLICATION_WRITER, 1, 0, next(counts))]
            parts += [data(PUBLICATION_WRITER, i, sample) for i, sample in enumerate(samples, start=1)]
            parts += [heartbeat(PUBLICATION_WRITER, 1, len(samples), next(counts))]
            for port in udp_ports(os.getpid()):
                for each in (packet(prefix, itself), packet(prefix, *parts)):
                    sender.sendto(each, ("127.0.0.1", port))

        yield announce


STRING = b"std_msgs::msg::dds_::String_"
NO_TEXT = ((b"rt/strange/\xff\xfe", STRING), (b"rt/strange", b"std_msgs::msg::dds_::\x80_"))
"""Writers whose topic's or type's name is no UTF-8."""


def test_endpoints_whose_topic_or_type_is_no_text_are_shown_and_hide_no_other(hostile: None):
    transport = DdsTransport(DOMAIN)
    graph, found = transport.graph(), dict[str, Endpoint]()

    def has_found_all() -> bool:
        announce()
        found.update({endpoint.topic: endpoint for endpoint in graph.endpoints()})
        return {"/usual", "/strange", r"/strange/\xff\xfe"} <= set(found)

    with announced(*NO_TEXT) as announce:
        wait_until(has_found_all)
        # whoever publishes on a topic counts, whatever it calls the type
        publishers = graph.publishers("/strange")
    transport.close()

    assert found["/usual"].sender.node == "usual"
    assert found[r"/strange/\xff\xfe"].type == "std_msgs/msg/String"
    assert found["/strange"].type == r"std_msgs/msg/\x80"
    assert found["/strange"].sender in publishers


def test_a_process_whose_node_has_a_name_that_is_no_text_hides_no_other_node():
    transport, participant = DdsTransport(DOMAIN), DomainParticipant(DOMAIN)
    nodes = RosNodes(participant)
    writer = DataWriter(participant, Topic(participant, TOPIC, ParticipantEntities), discovery_qos())

    def process(number: int) -> ParticipantEntities:
        return ParticipantEntities(Gid([number] * 16), [NodeEntities("/arm", "driver", [], [Gid([number + 1] * 16)])])

    wrong = process(1).serialize().replace(b"driver", b"dr\xffver")
    assert ddspy_write(writer._ref, wrong.ljust(-len(wrong) % 4 + len(wrong), b"\0")) >= 0
    writer.write(process(3))

    wait_until(lambda: nodes.name_of("04" * 16) == "arm/driver")
    transport.close()

    assert nodes.name_of("02" * 16) == ""


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

    with announced(*NO_TEXT) as announce:

        def has_found_all() -> bool:
            announce()
            return {"/usual", "/strange", r"/strange/\xff\xfe"} <= {endpoint.topic for endpoint in graph.endpoints()}

        wait_until(has_found_all)
        for _ in range(looks):
            graph.endpoints()
        before = allocated().uordblks
        for _ in range(looks):
            graph.endpoints()
        grown = allocated().uordblks - before
    transport.close()

    # one copy of one policy of one endpoint takes at least 16 bytes of it
    assert grown < 16 * looks
