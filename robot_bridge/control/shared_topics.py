"""Topics that are read for more than one purpose: a monitor or the sign of a contact may be in the messages of an input."""

from __future__ import annotations

from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.control.pinned import Pinned
from robot_bridge.middleware.endpoints import Accept, Sender
from robot_bridge.middleware.passing_on import PassingOn
from robot_bridge.middleware.transport import MessageT, Receive, Transport


class SharedTopics(PassingOn):
    """A `Transport` that takes an input's messages from the publisher that the bridge file names, whoever asks for them.

    Args:
        config: the bridge file.
        transport: the transport of the robot's topics, which may record them.
        unrecorded: the same without a recording, for topics that are inputs as well, and so are recorded already.
    """

    def __init__(self, config: BridgeConfig, transport: Transport, unrecorded: Transport) -> None:
        super().__init__(transport)
        self._config, self._unrecorded = config, unrecorded

    def subscribe(
        self,
        topic: str,
        message_type: type[MessageT],
        receive: Receive[MessageT],
        *,
        reliable: bool = False,
        accept: Accept | None = None,
        max_bytes: int | None = None,
    ) -> None:
        is_input = any(each.topic == topic for each in self._config.inputs.values())
        transport = self._unrecorded if is_input else self._transport
        accept, most = accept or self._accept(topic), max_bytes or self._config.largest(message_type)
        transport.subscribe(topic, message_type, receive, reliable=reliable, accept=accept, max_bytes=most)

    def _accept(self, topic: str) -> Accept | None:
        """Accepts the publishers of the inputs on a topic; None where one of them takes all publishers, or there is none."""
        named = [each.publisher for each in self._config.inputs.values() if each.topic == topic]
        if not named or not all(named):
            return None
        pins = [Pinned(publisher) for publisher in named]

        def accept(sender: Sender) -> bool:
            return any(pin(sender) for pin in pins)

        return accept
