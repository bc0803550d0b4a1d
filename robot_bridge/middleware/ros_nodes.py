"""Names of ROS 2 nodes by the GUIDs of their publishers, as ROS 2's own nodes tell them over DDS.

DDS knows processes and not nodes. So each process of ROS 2 publishes on the topic `ros_discovery_info` which nodes it has, and
which publishers and subscribers are theirs (rmw_dds_common, in the layout of Iron and later). The last message of each process
counts. Cyclone DDS reads the annotations below, which therefore must not be text.
"""

import dataclasses
import logging
import threading
import time
from typing import Any

from cyclonedds._clayer import ddspy_take  # type: ignore[import-not-found]
from cyclonedds.core import InstanceState, Policy, Qos, SampleState, ViewState
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl import types as idl
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

_LOG = logging.getLogger(__name__)
TOPIC = "ros_discovery_info"
LOOK_EVERY = 0.2
"""Shortest time between two looks for new names [s]."""
_PACKAGE = "rmw_dds_common::msg::dds_"
_TYPE_HASH = "RIHS01_91a0593bacdcc50ea9bdcf849a938b128412cc1ea821245c663bcd26f83c295e"
"""Of `rmw_dds_common/msg/ParticipantEntitiesInfo`; ROS 2 warns of readers that do not announce it (see `type_hash.py`)."""
_MOST = 1000
_ANY = SampleState.Any | ViewState.Any | InstanceState.Any


@dataclasses.dataclass
class Gid(IdlStruct, typename=f"{_PACKAGE}::Gid_"):
    """The GUID of a process, a publisher or a subscriber."""

    data: idl.array[idl.uint8, 16]  # type: ignore[type-arg, valid-type]


@dataclasses.dataclass
class NodeEntities(IdlStruct, typename=f"{_PACKAGE}::NodeEntitiesInfo_"):
    """A node, and what is its own."""

    node_namespace: idl.bounded_str[256]  # type: ignore[type-arg, valid-type]
    node_name: idl.bounded_str[256]  # type: ignore[type-arg, valid-type]
    reader_gid_seq: idl.sequence[Gid]  # type: ignore[type-arg]
    writer_gid_seq: idl.sequence[Gid]  # type: ignore[type-arg]


@dataclasses.dataclass
class ParticipantEntities(IdlStruct, typename=f"{_PACKAGE}::ParticipantEntitiesInfo_"):
    """A process, and its nodes."""

    gid: Gid
    node_entities_info_seq: idl.sequence[NodeEntities]  # type: ignore[type-arg]


def discovery_qos() -> Qos:
    """What ROS 2's nodes publish these messages with: who comes late gets the last one of each process."""
    return Qos(
        Policy.Reliability.Reliable(duration(milliseconds=100)),
        Policy.Durability.TransientLocal,
        Policy.History.KeepLast(_MOST),
        Policy.Userdata(f"typehash={_TYPE_HASH};".encode()),
    )


class RosNodes:
    """The nodes of a domain; may be asked from any thread.

    Args:
        participant: the participant that listens.
    """

    def __init__(self, participant: DomainParticipant) -> None:
        self._reader = DataReader(participant, Topic(participant, TOPIC, ParticipantEntities), discovery_qos())
        self._of_process: dict[str, dict[str, str]] = {}
        self._lock, self._looked = threading.Lock(), -1e9

    def name_of(self, guid: str) -> str:
        """The name of the node that a publisher or subscriber is of, by its GUID of 32 hexadecimal digits; empty if not known."""
        with self._lock:
            found = self._known(guid)
            if not found and time.monotonic() > self._looked + LOOK_EVERY:
                self._looked = time.monotonic()
                self._look()
                found = self._known(guid)
            return found

    def _known(self, guid: str) -> str:
        return next((names[guid] for names in self._of_process.values() if guid in names), "")

    def _look(self) -> None:
        try:
            # what `DataReader.take` calls before it decodes all of them, which fails if one of them cannot be decoded
            taken = ddspy_take(self._reader._ref, _ANY, _MOST)
        except Exception as error:
            _LOG.debug("names of nodes are not known: %s", error)
            return
        for content, info in () if isinstance(taken, int) else taken:
            try:
                if info.valid_data:
                    process: Any = ParticipantEntities.deserialize(content)
                    self._of_process[_hex(process.gid)] = _names(process)
            except Exception as error:
                # another version of ROS 2 may have another layout, a name may be no text, and a robot runs without names
                _LOG.debug("names of the nodes of a process are not known: %s", error)


def _names(process: Any) -> dict[str, str]:
    return {
        _hex(gid): f"{node.node_namespace.strip('/')}/{node.node_name}".lstrip("/")
        for node in process.node_entities_info_seq
        for gid in (*node.reader_gid_seq, *node.writer_gid_seq)
    }


def _hex(gid: Any) -> str:
    return bytes(gid.data).hex()
