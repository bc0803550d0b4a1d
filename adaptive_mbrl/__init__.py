"""Adaptive model-based meta-RL: a controller for robots whose dynamics change while they run."""

__version__ = "0.1.0"
