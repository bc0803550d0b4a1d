"""Record the canaries of the shipped checkpoints again: what each predicts about windows of its own controller's episodes.

Usage: python -m tests.quality.make_canaries [NAME ...]

All is seeded. A canary tells that predictions have changed; record it again only when that is meant.
"""

from __future__ import annotations

import sys

import torch

from adaptive_mbrl.canary import CANARY_WINDOWS, canary_deviation, make_canary, write_canary
from adaptive_mbrl.checkpoint import find_checkpoint, load_checkpoint
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.windows import Windows, WindowSampler, concatenate
from sim.episodes.policies import ControllerPolicy
from tests.quality.changes import RECORDED, run_changed
from tests.quality.shipped import SHIPPED

CHANGE_AT = 20
START = 40
"""Control step at which a window's query begins; its 16 recent transitions lie after the change."""
QUERY = 8
"""M, the steps of a window's query."""


def main(names: list[str]) -> None:
    """Write the canaries of the named checkpoints, or of all shipped ones."""
    torch.set_num_threads(1)
    for name in names or SHIPPED:
        checkpoint = load_checkpoint(name)
        before = "none" if checkpoint.canary is None else f"{canary_deviation(checkpoint.adapter, checkpoint.canary):.2g}"
        write_canary(find_checkpoint(name), make_canary(checkpoint.adapter, record_windows(name)))
        print(f"{name}: recorded; deviation from the last canary [target stds]: {before}", flush=True)


def record_windows(name: str) -> Windows:
    """One window of each of `CANARY_WINDOWS` episodes that a shipped checkpoint's controller drives, (W, ...)."""
    # as they have always been recorded; a canary is of one belief from one window, which looks for neither delays nor reversals
    controller = AdaptiveController.load(name, max_delay=0, reversals=None)
    changes = RECORDED[controller.spec.name]
    repeats = CANARY_WINDOWS // len(changes)
    policy = ControllerPolicy(controller)
    episodes = run_changed(controller.spec.name, changes, policy, at=CHANGE_AT, steps=START + QUERY, repeats=repeats)
    # windows of one episode are numbered by their first query step
    return concatenate([WindowSampler([e], controller.window, QUERY).at(torch.tensor([START])) for e in episodes])


if __name__ == "__main__":
    main(sys.argv[1:])
