"""Untrained checkpoints, as for the simulation's tests."""

from tests.sim.conftest import make_checkpoint

__all__ = ["make_checkpoint"]
