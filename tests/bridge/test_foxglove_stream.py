"""The live stream to Foxglove: a client of its WebSocket protocol gets the node's messages, with definitions to read them by."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from adaptive_mbrl import cli
from adaptive_mbrl.errors import ConfigError
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.streams.foxglove_stream import FoxgloveStream
from robot_bridge.streams.watched import Watched
from tests.bridge.waiting import PATIENCE
from tests.bridge.watched_robot import STANDING, standing_robot, write_bridge

pytest.importorskip("foxglove")
client = pytest.importorskip("websockets.sync.client")
DOMAIN = 20 + os.getpid() % 40
SUBSCRIPTION = 7


@pytest.fixture
def watched(tmp_path: Path, make_checkpoint: Callable[..., Path]) -> Watched:
    return Watched.load(write_bridge(tmp_path, make_checkpoint(tmp_path / "checkpoint")))


def advertised(connection: Any) -> dict[str, dict[str, Any]]:
    """What the server says that it has, by topic."""
    channels: dict[str, dict[str, Any]] = {}
    while "/joint_states" not in channels:
        said = connection.recv(timeout=PATIENCE)
        if isinstance(said, str) and json.loads(said)["op"] == "advertise":
            channels |= {channel["topic"]: channel for channel in json.loads(said)["channels"]}
    return channels


def test_a_client_reads_what_the_robot_says(watched: Watched):
    stream, transport = FoxgloveStream(watched, port=0, host="127.0.0.1"), DdsTransport(DOMAIN)
    stream.listen(transport)
    try:
        with client.connect(stream.url, subprotocols=["foxglove.sdk.v1"]) as connection, standing_robot(transport):
            channels = advertised(connection)
            channel = channels["/joint_states"]
            wanted = [{"id": SUBSCRIPTION, "channelId": channel["id"]}]
            connection.send(json.dumps({"op": "subscribe", "subscriptions": wanted}))
            while isinstance(said := connection.recv(timeout=PATIENCE), str):
                pass
    finally:
        transport.close()
        stream.close()

    assert set(channels) == set(watched.topics)
    assert {c["encoding"] for c in channels.values()} == {"cdr"}
    # whoever knows nothing of ROS 2 can read it by the definition that came along
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(channel["schema"], channel["schemaName"]))
    operation, subscription, _ = struct.unpack("<BIQ", said[:13])
    message = store.deserialize_cdr(said[13:], channel["schemaName"])
    assert (operation, subscription) == (1, SUBSCRIPTION)
    assert list(message.name) == STANDING.name
    assert message.position.tolist() == STANDING.position
    assert message.header.stamp.sec > 0
    assert "nothing came on /adaptive_mpc/state" in stream.report()


def test_a_port_that_is_taken_is_one_line(watched: Watched, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    stream = FoxgloveStream(watched, port=0, host="127.0.0.1")
    port = stream.url.rpartition(":")[2]
    try:
        with pytest.raises(ConfigError, match=f"--port: cannot listen on 127.0.0.1:{port} .*give another port or host"):
            FoxgloveStream(watched, int(port), "127.0.0.1")
        assert cli.main(["foxglove", "stream", "--bridge", str(tmp_path / "bridge.yaml"), "--port", port]) == 2
    finally:
        stream.close()
    assert capsys.readouterr().err.count("\n") == 1


def test_whoever_looks_sends_nothing_back_to_the_robot(watched: Watched):
    """All subscriptions are best effort, so that no sender waits for a viewer."""
    reliabilities = []

    class Spy:
        def subscribe(self, topic, message_type, receive, *, reliable, **options):
            reliabilities.append(reliable)

    stream = FoxgloveStream(watched, port=0, host="127.0.0.1")
    stream.listen(Spy())
    stream.close()
    assert reliabilities == [False] * len(watched.topics)
