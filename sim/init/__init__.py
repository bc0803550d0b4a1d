"""First files for a robot of one's own: the sub-command `init` ([page](docs/init.md)).

The way from a model to the files: `origins/` finds the model, `anatomy.py` looks at it, `channels.py`, `actuators.py`,
`timing.py`, `tasks/`, `changes.py`, `training.py` and `bridge.py` decide what the files say, which `plan.py` holds;
`files.py` writes them with the templates.
"""
