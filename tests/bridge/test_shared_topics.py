"""Topics of inputs that monitors and others read as well: from the same publishers, with the same limit, recorded once."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from robot_bridge.bridge_config import BridgeConfig, load_bridge_config
from robot_bridge.control.shared_topics import SharedTopics
from robot_bridge.middleware.endpoints import Sender
from robot_bridge.middleware.messages import Float64, JointState
from robot_bridge.middleware.reception import MAX_BYTES
from robot_bridge.preflight.listening import Listener
from tests.cartpole_bridge import BRIDGE


class Wire:
    """Keeps the options of each subscription."""

    def __init__(self) -> None:
        self.options: dict[str, dict[str, Any]] = {}

    def subscribe(self, topic: str, message_type: type, receive: Any, **options: Any) -> None:
        self.options[topic] = options

    def now(self) -> float:
        return 0.0


@pytest.fixture
def config(tmp_path: Path) -> BridgeConfig:
    path = tmp_path / "bridge.yaml"
    path.write_text(BRIDGE.format(checkpoint="none"))
    config = load_bridge_config(path)
    return dataclasses.replace(config, inputs=pinned(config, "/driver"))


def pinned(config: BridgeConfig, publisher: str) -> dict[str, Any]:
    return {name: dataclasses.replace(each, publisher=publisher) for name, each in config.inputs.items()}


def test_who_reads_an_input_again_hears_its_publisher_alone_and_does_not_record_it_again(config: BridgeConfig):
    recorded, unrecorded = Wire(), Wire()
    shared = SharedTopics(dataclasses.replace(config, max_message_bytes=70000), recorded, unrecorded)
    (topic,) = {each.topic for each in config.inputs.values()}

    shared.subscribe(topic, JointState, lambda message, at: None)

    assert not recorded.options
    accept = unrecorded.options[topic]["accept"]
    assert [accept(Sender("", node)) for node in ("driver", "impostor", "")] == [True, False, False]
    assert unrecorded.options[topic]["max_bytes"] == 70000


def test_another_topic_is_recorded_and_open_to_all(config: BridgeConfig):
    recorded, unrecorded = Wire(), Wire()
    SharedTopics(config, recorded, unrecorded).subscribe("/charge", Float64, lambda message, at: None)

    assert not unrecorded.options
    assert (recorded.options["/charge"]["accept"], recorded.options["/charge"]["max_bytes"]) == (None, MAX_BYTES)


def test_an_input_without_a_publisher_is_open_to_all(config: BridgeConfig):
    wire = Wire()
    (topic,) = {each.topic for each in config.inputs.values()}
    open_to_all = dataclasses.replace(config, inputs=pinned(config, ""))
    SharedTopics(open_to_all, wire, wire).subscribe(topic, JointState, lambda message, at: None)

    assert wire.options[topic]["accept"] is None


def test_the_preflight_hears_the_publisher_of_an_input_alone(config: BridgeConfig):
    wire = Wire()
    Listener(config, wire)
    (topic,) = {each.topic for each in config.inputs.values()}

    assert [wire.options[topic]["accept"](Sender("", node)) for node in ("driver", "impostor")] == [True, False]
