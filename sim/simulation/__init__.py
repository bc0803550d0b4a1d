"""Physics: many robots with different dynamics at once, one robot by single physics steps, and the oracle."""

from sim.simulation.batch import BatchSimulation
from sim.simulation.oracle import OracleRollout
from sim.simulation.physics import SimulationError
from sim.simulation.substeps import SubstepSimulation

__all__ = ["BatchSimulation", "OracleRollout", "SimulationError", "SubstepSimulation"]
