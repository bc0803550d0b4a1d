"""Physics: many robots with different changes at once, one robot by single physics steps, and the oracle."""

from sim.simulation.batch import BatchSimulation
from sim.simulation.instability import Instability, SimulationError
from sim.simulation.oracle import OraclePredictor
from sim.simulation.substeps import SubstepSimulation

__all__ = ["BatchSimulation", "Instability", "OraclePredictor", "SimulationError", "SubstepSimulation"]
