"""Who has the robot: other sources of commands by priority, one node out of several, and a node that stands by."""
