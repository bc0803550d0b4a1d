"""Serves the messages of a bridge to Foxglove as they are, so that a layout fits a live robot and a recording alike."""

from __future__ import annotations

from collections import Counter
from typing import Any

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.extras import extra_package
from robot_bridge.bags.recorder import absolute_topic
from robot_bridge.bags.types import encode, typestore
from robot_bridge.middleware.messages import Message
from robot_bridge.middleware.transport import Transport
from robot_bridge.streams.listening import listen, silence
from robot_bridge.streams.watched import Watched


class FoxgloveStream:
    """A WebSocket server for Foxglove.

    Args:
        watched: the robot and its node.
        port: the port to listen on; 0 for any free one.
        host: the address to listen on.

    Attributes:
        url: what Foxglove connects to.

    Raises:
        ConfigError: the extra `foxglove` is not installed, or the port is taken.
    """

    def __init__(self, watched: Watched, port: int, host: str) -> None:
        foxglove = extra_package("foxglove", "foxglove")
        self._watched = watched
        # a context of its own, so that the channels end with this object; they are closed when nobody holds it any more
        self._context = context = foxglove.Context()
        try:
            self._server = foxglove.start_server(
                name=f"{watched.spec.name} ({watched.node})", host=host, port=port, context=context
            )
        except RuntimeError as error:
            raise ConfigError(f"--port: cannot listen on {host}:{port} ({error}); give another port or host") from error
        self.url = f"ws://{host}:{self._server.port}"
        self._channels = {topic: _channel(foxglove, topic, kind, context) for topic, kind in watched.topics.items()}
        self._sent = Counter[str]()

    def listen(self, transport: Transport) -> None:
        """Pass on what comes on every topic of the robot from now on."""
        listen(self._watched, transport, self._pass_on)

    def report(self) -> str:
        """A line about what was passed on."""
        return f"{self._sent.total()} messages passed on{silence(self._watched, self._sent)}"

    def close(self) -> None:
        """End the connections."""
        self._server.stop()

    def _pass_on(self, topic: str, message: Message, at: int) -> None:
        self._channels[topic].log(bytes(encode(message)), log_time=at)
        self._sent[topic] += 1


def _channel(foxglove: Any, topic: str, message_type: type[Message], context: Any) -> Any:
    definition, _ = typestore().generate_msgdef(message_type.ros_type, ros_version=2)
    schema = foxglove.Schema(name=message_type.ros_type, encoding="ros2msg", data=definition.encode())
    return foxglove.Channel(absolute_topic(topic), message_encoding="cdr", schema=schema, context=context)
