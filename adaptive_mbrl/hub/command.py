"""The sub-commands `push` and `pull`."""

from __future__ import annotations

from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.hub.pull import pull_checkpoint
from adaptive_mbrl.hub.push import push_checkpoint
from adaptive_mbrl.options import PullOptions, PushOptions


def push(options: PushOptions) -> None:
    """Push a checkpoint, and say where it is."""
    print(f"Pushed: {push_checkpoint(options.checkpoint, options.target, private=options.private)}")


def pull(options: PullOptions) -> None:
    """Pull a checkpoint, and say what it is."""
    folder = pull_checkpoint(options.source, options.out)
    checkpoint = load_checkpoint(folder)
    about = checkpoint.description
    rules = ", then ".join(rule.TAG for rule in about.adaptation)
    checked = "its canary is right" if checkpoint.canary is not None else "it has no canary to check its predictions by"
    print(f"Pulled: {folder} (robot {about.spec.name}, adaptation {rules}; {checked})")
