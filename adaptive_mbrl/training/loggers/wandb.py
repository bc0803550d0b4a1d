"""Curves for Weights & Biases (https://docs.wandb.ai), the extra `wandb`.

Its own environment variables say where to: `WANDB_PROJECT`, `WANDB_ENTITY`, and `WANDB_MODE=offline` for files that `wandb sync`
uploads later.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.training.loggers.base import PROJECT, LoggedRun

STEP = "updates"
"""The curve that all others are drawn over: after a resume it may go back, which the service's own count of steps cannot."""


class WandbLogger:
    """Logs to a run of Weights & Biases; the next process in the same run folder goes on with it.

    Args:
        run: the run.
    """

    def __init__(self, run: LoggedRun) -> None:
        self._wandb = extra_package("wandb", "wandb")
        self._logged = run
        self._run: Any = None

    def start(self, config: Mapping[str, Any]) -> None:
        """Begin the run, or go on with it."""
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=self._logged.identity(),
            resume="allow",
            name=self._logged.name,
            group=self._logged.group,
            # its service keeps the working directory in which the process first used it
            dir=self._logged.folder.absolute(),
            config=dict(config),
            # another one of this process stays as it is
            reinit="create_new",
            # the output has bars, and belongs to the terminal
            settings=self._wandb.Settings(console="off", silent=True),
        )
        self._run.define_metric("*", step_metric=STEP)

    def scalars(self, values: Mapping[str, float], updates: int) -> None:
        """Add a point to each curve."""
        self._run.log({**values, STEP: updates})

    def close(self) -> None:
        """Wait until everything is uploaded."""
        self._run.finish()


def ask_for_key() -> None:
    """Let Weights & Biases ask for a key while somebody still sits at the terminal, not in the middle of a training."""
    wandb = extra_package("wandb", "wandb")
    if os.environ.get("WANDB_MODE", "online") == "online":
        wandb.login()
