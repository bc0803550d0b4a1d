"""What there is: the names of robots, scenarios, checkpoints, rules and planners, and a card of each.

`list` reads files only and imports neither torch nor MuJoCo, so that it answers at once; `show` loads what it shows.
"""
