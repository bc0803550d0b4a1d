"""Fixtures that several files share: untrained checkpoints, as for the simulation's tests, and a control loop in virtual time."""

import pytest

from tests.bridge.loop_parts import parts
from tests.bridge.waiting import hasten
from tests.sim.conftest import make_checkpoint

__all__ = ["make_checkpoint", "parts"]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes for which tests wait less; see `hasten`."""
    hasten(monkeypatch)
