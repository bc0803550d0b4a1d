"""Sends what a bridge publishes to a viewer of Rerun that is running."""

from __future__ import annotations

import socket
from collections import Counter
from urllib.parse import urlsplit

from adaptive_mbrl.errors import ConfigError
from robot_bridge.middleware.messages import Message
from robot_bridge.middleware.transport import Transport
from robot_bridge.streams.listening import listen, silence
from robot_bridge.streams.rerun_blueprint import blueprint
from robot_bridge.streams.rerun_log import RerunLog, new_recording
from robot_bridge.streams.watched import Watched

CONNECT_SECONDS = 3.0
"""Longest wait for the viewer to accept a connection [s]."""

FLUSH_SECONDS = 3.0
"""Longest wait at the end for the viewer to take what was sent [s]."""


class RerunStream:
    """A connection to a viewer. The viewer listens, not this program: Rerun's own server would listen on every interface.

    Args:
        watched: the robot and its node.
        viewer: the viewer's address, such as ``rerun+http://127.0.0.1:9876/proxy``.

    Raises:
        ConfigError: the extra `rerun` is not installed, or no viewer listens there.
    """

    def __init__(self, watched: Watched, viewer: str) -> None:
        self._recording = new_recording()
        _require_viewer(viewer)
        self._recording.connect_grpc(viewer, default_blueprint=blueprint(watched))
        self._watched, self._log = watched, RerunLog(watched, self._recording)
        self._sent, self._unsent = Counter[str](), ""

    def listen(self, transport: Transport) -> None:
        """Send what comes on every topic of the robot from now on."""
        listen(self._watched, transport, self._send)

    def report(self) -> str:
        """A line about what was sent."""
        return f"{self._sent.total()} messages sent{silence(self._watched, self._sent)}{self._unsent}"

    def close(self) -> None:
        """Send what still waits, and end the connection; a viewer that has ended or hangs is not waited for."""
        try:
            self._recording.flush(timeout_sec=FLUSH_SECONDS)
        except Exception as error:
            # rerun's errors have no class of their own
            self._unsent = f"; the viewer has not taken all of them ({' '.join(str(error).split())})"
        self._recording.disconnect()

    def _send(self, topic: str, message: Message, at: int) -> None:
        self._log.log(topic, message, at)
        self._sent[topic] += 1


def _require_viewer(viewer: str) -> None:
    """Refuse an address where nobody listens; Rerun itself would go on trying without a word."""
    try:
        parts = urlsplit(viewer)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(
            f"--viewer: got '{viewer}' ({error}); allowed: an address like rerun+http://127.0.0.1:9876/proxy"
        ) from error
    if not parts.scheme.startswith("rerun") or host is None or port is None:
        raise ConfigError(f"--viewer: got '{viewer}'; allowed: an address like rerun+http://127.0.0.1:9876/proxy")
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except OSError as error:
        raise ConfigError(
            f"--viewer: no viewer of Rerun at {viewer} ({error}); start one with 'rerun', or name its address"
        ) from error
