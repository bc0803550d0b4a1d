"""Sweeps: a search for good settings of a training, each trial of which is a training of its own."""
