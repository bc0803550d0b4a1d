"""A simulated robot behind the topics of a real one; `robot.py` is the only module of the bridge that imports `sim`."""
