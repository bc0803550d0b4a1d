"""A simulated robot behind the same topics as a real one; its module `robot.py` is the only one of the bridge that imports `sim`."""
