"""The simulation in MuJoCo's own window, for a computer with a display: it is paused, reset and changed by the keyboard."""

from __future__ import annotations


def run_window(session, seconds):
    raise NotImplementedError
