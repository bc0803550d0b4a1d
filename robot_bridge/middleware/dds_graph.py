"""Finds out through DDS discovery who publishes and subscribes what on a domain."""

from __future__ import annotations

from cyclonedds.builtin import (
    BuiltinDataReader,
    BuiltinTopicDcpsParticipant,
    BuiltinTopicDcpsPublication,
    BuiltinTopicDcpsSubscription,
)
from cyclonedds.domain import DomainParticipant

from robot_bridge.middleware.dds_discovery import RemoteEndpoint, endpoints, participants
from robot_bridge.middleware.dds_entities import deleted_with_its_object
from robot_bridge.middleware.endpoints import Endpoint, Sender
from robot_bridge.middleware.ros_nodes import RosNodes


class DdsGraph:
    """The publishers and subscribers of a domain, as a `Graph`. Discovery takes up to a second from the constructor on.

    Args:
        domain: ROS 2's domain id; a `DdsTransport` must have configured it before.
        nodes: names of ROS 2's nodes.
    """

    def __init__(self, domain: int, nodes: RosNodes) -> None:
        self._participant, self._nodes = deleted_with_its_object(DomainParticipant(domain)), nodes
        self._participants, self._publishers, self._subscribers = (
            BuiltinDataReader(self._participant, topic)
            for topic in (BuiltinTopicDcpsParticipant, BuiltinTopicDcpsPublication, BuiltinTopicDcpsSubscription)
        )

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The present endpoints of ROS 2 topics, without those of this process."""
        own = self._own()
        return tuple(
            Endpoint(
                found.topic_name.removeprefix("rt"),
                _ros_type(found.type_name),
                publishes,
                found.reliable,
                sender_of(found, self._nodes),
            )
            for reader, publishes in ((self._publishers, True), (self._subscribers, False))
            for found in endpoints(reader)
            if found.topic_name.startswith("rt/") and found.participant not in own
        )

    def publishers(self, topic: str) -> list[Sender]:
        """Who else publishes on one topic."""
        own = self._own()
        return [
            sender_of(found, self._nodes)
            for found in endpoints(self._publishers)
            if found.topic_name == f"rt{topic}" and found.participant not in own
        ]

    def _own(self) -> set[str]:
        """The participants of this process."""
        return {participant.guid for participant in participants(self._participants) if participant.is_own}


def sender_of(endpoint: RemoteEndpoint, nodes: RosNodes) -> Sender:
    """Who an endpoint is: a `DdsTransport` writes its node's name into DDS's discovery, a node of ROS 2 tells it by a message."""
    return Sender(endpoint.guid, endpoint.name or nodes.name_of(endpoint.guid))


def _ros_type(name: str) -> str:
    """``pkg::msg::dds_::Name_`` -> ``pkg/msg/Name``."""
    return name.replace("::dds_::", "::").replace("::", "/").removesuffix("_")
