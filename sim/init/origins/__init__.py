"""Where a model comes from: a file, a Gymnasium environment, a dm_control task or MuJoCo Menagerie."""

from __future__ import annotations

from pathlib import Path

from adaptive_mbrl.options import InitOptions
from sim.init.origins.gymnasium_env import from_gymnasium
from sim.init.origins.menagerie import from_menagerie
from sim.init.origins.model_file import from_file
from sim.init.origins.origin import Origin


def find_origin(options: InitOptions, folder: Path) -> Origin:
    """Load the model that the flags name.

    Args:
        options: the flags.
        folder: the folder that is going to be written; a file is named relative to it.
    """
    if options.gym is not None:
        return from_gymnasium(options.gym, folder)
    if options.dm_control is not None:
        from sim.init.origins.dm_control_task import from_dm_control

        return from_dm_control(options.dm_control)
    if options.menagerie is not None:
        return from_menagerie(options.menagerie)
    assert options.model_file is not None, "the options make sure that there is one of them"
    return from_file(options.model_file, folder)
