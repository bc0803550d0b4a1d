"""Who has sent a message, by the handle that DDS gives with it."""

from __future__ import annotations

from cyclonedds.sub import DataReader

from robot_bridge.middleware.dds_discovery import matched_publication
from robot_bridge.middleware.dds_graph import sender_of
from robot_bridge.middleware.endpoints import Sender
from robot_bridge.middleware.ros_nodes import RosNodes


class DdsSenders:
    """The publishers of one reader's topic. Each is asked for until its name is known; for the receiving thread only.

    Args:
        reader: the reader of the messages.
        nodes: names of ROS 2's nodes.
    """

    def __init__(self, reader: DataReader, nodes: RosNodes) -> None:
        self._reader, self._nodes = reader, nodes
        self._known: dict[int, Sender] = {}

    def __call__(self, handle: int) -> Sender:
        """The publisher with this handle; without names if it has gone already, or cannot be read."""
        known = self._known.get(handle)
        if known is not None and not known.node:
            # a node may publish before it has told its name
            self._known[handle] = Sender(known.guid, self._nodes.name_of(known.guid))
        elif known is None:
            found = matched_publication(self._reader, handle)
            if found is None:
                return Sender()
            self._known[handle] = sender_of(found, self._nodes)
        return self._known[handle]
