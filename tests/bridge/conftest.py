"""Fixtures that several files share: untrained checkpoints, as for the simulation's tests, and a control loop in virtual time."""

from tests.bridge.loop_parts import parts
from tests.sim.conftest import make_checkpoint

__all__ = ["make_checkpoint", "parts"]
