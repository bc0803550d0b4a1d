"""Who has sent a message, by the handle that DDS gives with it."""

from __future__ import annotations

from cyclonedds.core import DDSException
from cyclonedds.sub import DataReader

from robot_bridge.middleware.dds_graph import sender_of
from robot_bridge.middleware.endpoints import Sender


class DdsSenders:
    """The publishers of one reader's topic. Each is asked for once; for the receiving thread only.

    Args:
        reader: the reader of the messages.
    """

    def __init__(self, reader: DataReader) -> None:
        self._reader = reader
        self._known: dict[int, Sender] = {}

    def __call__(self, handle: int) -> Sender:
        """The publisher with this handle; without names if it has gone already."""
        if handle not in self._known:
            try:
                found = self._reader.get_matched_publication_data(handle)
            except DDSException:
                found = None
            if found is None:
                return Sender()
            self._known[handle] = sender_of(found)
        return self._known[handle]
