"""A bridge and its recording, for tests of what shows them: an untrained cart-pole with a diagnosis, over real sockets."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adaptive_mbrl.checkpoint import load_checkpoint, save_checkpoint
from adaptive_mbrl.diagnosis import Diagnosis, DiagnosisConfig, size_of
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import Header, JointState, String, Time
from robot_bridge.node.adaptive_mpc import AdaptiveMpc
from robot_bridge.node.parameters import NodeParameters
from tests.bridge.waiting import PATIENCE, hasten
from tests.cartpole_bridge import BRIDGE

STANDING = JointState(name=["slider", "hinge_1"], position=[0.25, 0.125], velocity=[-0.5, 2.0])
DIAGNOSED = ("actuator_gain slide", "friction")


def write_bridge(folder: Path, checkpoint: Path) -> Path:
    """A bridge file for this checkpoint, which gets a diagnosis that is not fitted."""
    plain = load_checkpoint(checkpoint)
    config = DiagnosisConfig(DIAGNOSED, hidden=(4,))
    read = Diagnosis(config, size_of(plain.adapter.prior(1)))
    about = dataclasses.replace(plain.description, diagnosis=config)
    save_checkpoint(folder / "diagnosed", dataclasses.replace(plain, description=about, diagnosis=read))
    path = folder / "bridge.yaml"
    path.write_text(BRIDGE.format(checkpoint=folder / "diagnosed"))
    return path


@contextmanager
def standing_robot(transport: DdsTransport) -> Iterator[None]:
    """A robot that stands still and says so a hundred times a second."""
    end, publish = threading.Event(), transport.publisher("/joint_states", JointState, reliable=False)

    def stand() -> None:
        while not end.wait(0.01):
            publish(dataclasses.replace(STANDING, header=Header(Time.of(transport.now()))))

    thread = threading.Thread(target=stand)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@contextmanager
def running_bridge(domain: int, bridge: Path, record: str = "") -> Iterator[tuple[AdaptiveMpc, DdsTransport]]:
    """A bridge that controls a standing robot, with the transport of both."""
    transport = DdsTransport(domain)
    node, runs = AdaptiveMpc(transport), threading.Event()
    transport.subscribe("/adaptive_mpc/state", String, lambda m, at: runs.set() if m.data == "running" else None)
    try:
        with standing_robot(transport), pytest.MonkeyPatch.context() as patch:
            hasten(patch)
            node.configure(NodeParameters(str(bridge), record=record), transport)
            node.activate()
            assert runs.wait(PATIENCE)
            yield node, transport
    finally:
        node.clean_up()
        transport.close()
