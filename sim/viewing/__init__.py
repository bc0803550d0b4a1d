"""A simulated robot, live: its dynamics are changed by hand while it moves, in the browser or in MuJoCo's own window."""
