"""Whatever ends the start of a configured node, no thread goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from robot_bridge.node import running as module
from robot_bridge.node.adaptive_mpc import AdaptiveMpc
from robot_bridge.node.parameters import NodeParameters
from robot_bridge.node.running import Running
from tests.bridge.test_adaptive_mpc import node, parameters, transport
from tests.bridge.waiting import PATIENCE

__all__ = ["node", "parameters", "transport"]
OwnThreads = Callable[[], set[str]]
OWN = {"control", "diagnostics", "log", "plan"}


@pytest.fixture
def own_threads() -> Callable[[], set[str]]:
    """The names of the node's threads; those that were there before, of other tests, do not count."""
    before = set(threading.enumerate())
    return lambda: {thread.name for thread in threading.enumerate() if thread not in before} & OWN


@pytest.mark.parametrize("last", ["diagnostics", "log"])
def test_an_interrupt_between_two_starts_ends_the_threads_that_run(
    own_threads: OwnThreads, transport, parameters: NodeParameters, monkeypatch: pytest.MonkeyPatch, last: str
):
    class Interrupted(threading.Thread):
        def start(self) -> None:
            if self.name == last:
                raise KeyboardInterrupt
            super().start()

        def join(self, timeout: float | None = None) -> None:
            super().join(PATIENCE)
            assert not self.is_alive(), f"{self.name} was not stopped"

    monkeypatch.setattr(module.threading, "Thread", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        Running(parameters, transport, transport, "adaptive_mpc")
    assert own_threads() == set()


def test_an_interrupt_when_all_runs_leaves_a_node_that_can_be_cleaned_up(
    own_threads: OwnThreads, node: AdaptiveMpc, transport, parameters: NodeParameters, monkeypatch: pytest.MonkeyPatch
):
    class Stack(ExitStack):
        def pop_all(self) -> ExitStack:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "ExitStack", Stack)
    with pytest.raises(KeyboardInterrupt):
        node.configure(parameters, transport)
    assert own_threads() == set()
    assert node.clean_up() == ""


def test_an_interrupt_after_the_last_line_of_configure_leaves_a_node_that_can_be_cleaned_up(
    own_threads: OwnThreads, node: AdaptiveMpc, transport, parameters: NodeParameters, monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*arguments: object) -> None:
        Running(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr("robot_bridge.node.adaptive_mpc.Running", interrupted)
    with pytest.raises(KeyboardInterrupt):
        node.configure(parameters, transport)
    assert own_threads() >= {"control"}
    node.clean_up()
    assert own_threads() == set()
