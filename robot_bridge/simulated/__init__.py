"""A simulated robot that speaks what a robot speaks; the only part of the bridge that imports `sim`."""
