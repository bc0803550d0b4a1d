"""Finds out through DDS discovery who publishes and subscribes what on a domain."""

from __future__ import annotations

from typing import Any

from cyclonedds.builtin import (
    BuiltinDataReader,
    BuiltinTopicDcpsParticipant,
    BuiltinTopicDcpsPublication,
    BuiltinTopicDcpsSubscription,
)
from cyclonedds.core import InstanceState, ReadCondition, SampleState, ViewState
from cyclonedds.domain import DomainParticipant

from robot_bridge.middleware.dds_entities import deleted_with_its_object
from robot_bridge.middleware.dds_qos import remote_qos
from robot_bridge.middleware.endpoints import Endpoint, Sender
from robot_bridge.middleware.ros_nodes import RosNodes

_MAX_ENDPOINTS = 10_000
"""Largest number of endpoints that are read; the network of one robot has far fewer."""


class DdsGraph:
    """The publishers and subscribers of a domain, as a `Graph`. Discovery takes up to a second from the constructor on.

    Args:
        domain: ROS 2's domain id; a `DdsTransport` must have configured it before.
        nodes: names of ROS 2's nodes.
    """

    def __init__(self, domain: int, nodes: RosNodes) -> None:
        self._participant, self._nodes = deleted_with_its_object(DomainParticipant(domain)), nodes
        self._participants, self._publishers, self._subscribers = (
            _reader(self._participant, topic)
            for topic in (BuiltinTopicDcpsParticipant, BuiltinTopicDcpsPublication, BuiltinTopicDcpsSubscription)
        )

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The present endpoints of ROS 2 topics, without those of this process."""
        own = self._own()
        return tuple(
            Endpoint(
                sample.topic_name.removeprefix("rt"),
                _ros_type(sample.type_name),
                publishes,
                sample.qos.reliable,
                sender_of(sample, self._nodes),
            )
            for reader, publishes in ((self._publishers, True), (self._subscribers, False))
            for sample in _alive(reader)
            if sample.topic_name.startswith("rt/") and sample.participant_key not in own
        )

    def publishers(self, topic: str) -> list[Sender]:
        """Who else publishes on one topic."""
        own = self._own()
        return [
            sender_of(sample, self._nodes)
            for sample in _alive(self._publishers)
            if sample.topic_name == f"rt{topic}" and sample.participant_key not in own
        ]

    def _own(self) -> set[Any]:
        """The participants of this process."""
        return {participant.key for participant in _alive(self._participants) if participant.qos.is_own}


def sender_of(endpoint: Any, nodes: RosNodes) -> Sender:
    """Who an endpoint is: a `DdsTransport` writes its node's name into DDS's discovery, a node of ROS 2 tells it by a message."""
    return Sender(endpoint.key.hex, endpoint.qos.name or nodes.name_of(endpoint.key.hex))


def _reader(participant: DomainParticipant, topic: Any) -> BuiltinDataReader:
    reader = BuiltinDataReader(participant, topic)
    reader._cqos_conv = remote_qos
    return reader


def _alive(reader: BuiltinDataReader) -> list[Any]:
    return reader.read(_MAX_ENDPOINTS, ReadCondition(reader, SampleState.Any | ViewState.Any | InstanceState.Alive))


def _ros_type(name: str) -> str:
    """``pkg::msg::dds_::Name_`` -> ``pkg/msg/Name``."""
    return name.replace("::dds_::", "::").replace("::", "/").removesuffix("_")
