"""First files for a robot of one's own: the sub-command `init` ([page](docs/init.md)).

What is known of the model goes through these rooms: `origins/` finds the model, `anatomy.py` looks at it, `tasks/` chooses what is
rewarded, and a template in `templates/` writes each file.
"""
