"""Checks whether a robot is the one that its bridge file and its checkpoint describe."""
