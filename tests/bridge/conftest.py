"""Fixtures that several files share: untrained checkpoints, as for the simulation's tests, and a control loop in virtual time."""

from collections.abc import Iterator

import pytest

from tests.bridge.loop_parts import parts
from tests.bridge.waiting import hasten
from tests.sim.conftest import make_checkpoint

__all__ = ["make_checkpoint", "parts"]


@pytest.fixture
def hasty() -> Iterator[None]:
    """Nodes for which tests wait less; see `hasten`. A test may undo its own changes meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        hasten(patch)
        yield
