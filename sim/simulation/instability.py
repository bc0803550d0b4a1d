"""What is known of a simulation whose physics became unstable."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.errors import AdaptiveMBRLError
from sim.scenarios.change import Change


class SimulationError(AdaptiveMBRLError):
    """The physics of a robot became unstable, and there is nothing left that could go on."""


@dataclass(frozen=True)
class Instability:
    """When the physics of a robot became unstable, and under which change.

    Attributes:
        step: the control step that could not be simulated.
        change: the change that was in force.
        state: MuJoCo's integration state before that step, (nstate,).
        action: what reached the actuators in it, (action_dim,).
        seed: the episode's seed.
        dump: file that holds the step for a replay; None if nothing was written.
    """

    step: int
    change: Change
    state: NDArray[np.float64] = field(compare=False, repr=False)
    action: NDArray[np.float64] = field(compare=False, repr=False)
    seed: int = field(default=0, compare=False)
    dump: Path | None = field(default=None, compare=False)

    def __str__(self) -> str:
        replay = "" if self.dump is None else f"; replay that step: adaptive-mbrl replay {self.dump}"
        return unstable_at(self.step, self.change) + replay


def unstable_at(step: int, change: Change) -> str:
    """In words, when the physics became unstable and under which change."""
    return f"the physics became unstable at control step {step} under {change.to_changes() or 'no change'}"
