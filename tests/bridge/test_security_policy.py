"""The SROS2 policy gives the topics of the shipped bridge files, those of the node, and nothing else."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from robot_bridge.bridge_config import load_bridge_config

ROOT = Path(__file__).resolve().parents[2]
POLICY = ET.parse(ROOT / "configs/security/adaptive_mpc.policy.xml").getroot()
CONFIGS = [load_bridge_config(path) for path in sorted((ROOT / "configs/bridge").glob("*.yaml"))]
INPUTS = {t.topic for c in CONFIGS for t in (*c.inputs.values(), *((c.goal,) if c.goal else ()))}
OUTPUTS = {c.output.topic for c in CONFIGS}
OWN = {"~/state", "~/reaction", "~/plan", "~/belief", "~/diagnosis", "~/transition_event", "/diagnostics"}
OF_EVERY_NODE = {"/parameter_events", "/rosout"}


def topics(enclave: str, verb: str) -> set[str]:
    found = POLICY.findall(f".//enclave[@path='{enclave}']//topics[@{verb}='ALLOW']/topic")
    return {topic.text for topic in found}


@pytest.mark.parametrize(
    ("enclave", "verb", "wanted"),
    [
        ("/adaptive_mpc", "subscribe", INPUTS),
        ("/adaptive_mpc", "publish", OUTPUTS | OWN | OF_EVERY_NODE),
        ("/robot", "subscribe", OUTPUTS),
        ("/robot", "publish", INPUTS | OF_EVERY_NODE),
    ],
)
def test_the_topics_are_those_of_the_bridge_files(enclave: str, verb: str, wanted: set[str]):
    assert topics(enclave, verb) == wanted


def test_nobody_but_the_controller_commands_the_robot():
    assert [e.get("path") for e in POLICY.iter("enclave") if topics(e.get("path"), "publish") & OUTPUTS] == ["/adaptive_mpc"]


def test_nothing_of_the_robot_is_given_by_a_pattern():
    patterns = {element.text for element in POLICY.iter() if "*" in (element.text or "")}

    assert all(pattern.startswith(("/launch_ros_*/", "/_ros2cli_*/")) for pattern in patterns)
