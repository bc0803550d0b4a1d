"""Flags of the sub-command that writes a controller as a file which needs no part of this package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options.common import OptionalFile, OptionalName, require_at_least, require_ending


@dataclass(frozen=True)
class ExportOptions:
    """Write a controller as one file that runs without this package.

    Example: adaptive-mbrl export --checkpoint cartpole --out cartpole.pt2

    Attributes:
        checkpoint: folder of a checkpoint, or name of a shipped one.
        out: the file; runs/export/NAME.pt2 or .onnx if not given. One that is there is replaced.
        format: program is the whole control step, adapting included, for any machine with PyTorch; library is the same, compiled
            for processors like this one, for Python and C++; onnx is adapting and predicting alone, for any runtime of ONNX, and
            needs the extra `onnx`.
        robots: number of robots that are controlled at once.
        planner: another planner than the checkpoint's, or other settings, as `evaluate --planner` takes it.
    """

    checkpoint: str
    out: OptionalFile = None
    format: Literal["program", "library", "onnx"] = "program"
    robots: int = 1
    planner: OptionalName = None

    def __post_init__(self) -> None:
        require_at_least("--robots", self.robots, 1)
        require_ending("--out", self.out, ".onnx" if self.format == "onnx" else ".pt2")
        if self.format == "onnx" and self.planner is not None:
            raise ConfigError("--planner: an ONNX file has no planner; allowed with --format program or library")
