"""Simulation in MuJoCo: robots, scenarios in which they change, the oracle, collection, training and evaluation."""
