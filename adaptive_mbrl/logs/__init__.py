"""From a robot's logs to training episodes: numbers over time, put on the control grid, cut where something is missing."""
