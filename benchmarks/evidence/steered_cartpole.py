"""The shipped cart-pole, whose cart shall stand where a goal says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from adaptive_mbrl.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

GOAL_NAMES = ("cart_goal",)


def write_steered_cartpole(folder: Path) -> Path:
    """Write the checkpoint: the shipped one's network with another objective, and so without its terminal value.

    Args:
        folder: a folder that does not exist.

    Returns:
        The folder.
    """
    shipped = load_checkpoint("cartpole")
    about = shipped.description
    terms = tuple(replace(term, goal=GOAL_NAMES) if term.channels == ("cart_position",) else term for term in about.terms)
    save_checkpoint(folder, Checkpoint(replace(about, terms=terms, goal_names=GOAL_NAMES), shipped.adapter))
    return folder
