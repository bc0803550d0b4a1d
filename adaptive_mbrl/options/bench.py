"""Flags of the sub-command that measures how fast this machine is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adaptive_mbrl.options.common import Device, OptionalInt, require_at_least, require_threads

Sweep = Literal["samples", "horizon", "width", "members", "batch"]
SWEEPS: tuple[Sweep, ...] = ("samples", "horizon", "width", "members", "batch")


@dataclass(frozen=True)
class BenchOptions:
    """Measure how long adapting and planning take on this machine, and write a table, a JSON file and a picture.

    Example: adaptive-mbrl bench --threads 1 --against pytorch-mppi

    Attributes:
        checkpoint: folder of a checkpoint, or name of a shipped one: its settings are measured as they are, and the networks of
            the other cases, which have random weights, are for its robot.
        sweeps: which settings are varied, each alone, around 256 candidates, 20 steps and three layers of 256; all of them by
            default. Without a word after the flag nothing is varied.
        against: libraries that plan with the same network, in the same process and in turn; needs the extra `peers`.
        compile: how the control step is compiled, see docs/performance.md; each case then takes up to minutes more.
        seconds: for how long each case is measured [s]; at least ten control steps in any case.
        out: folder of bench.json and bench.png.
        device: where the networks run; auto takes a GPU when there is one.
        threads: number of threads of torch; all cores, or OMP_NUM_THREADS, if not given.
    """

    checkpoint: str = "half_cheetah"
    sweeps: tuple[Sweep, ...] = SWEEPS
    against: tuple[Literal["pytorch-mppi"], ...] = ()
    compile: Literal["auto", "off", "inductor", "cudagraph"] = "off"
    seconds: float = 1.0
    out: Path = Path("runs/bench")
    device: Device = "auto"
    threads: OptionalInt = None

    def __post_init__(self) -> None:
        require_at_least("--seconds", self.seconds, 0.01)
        require_threads(self.threads)
