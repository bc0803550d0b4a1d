"""Simulation in MuJoCo: robots, scenarios of changing dynamics, the oracle, collection, training and evaluation."""
