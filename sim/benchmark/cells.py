"""The cells of a benchmark: one arm of one model on one scenario, or one model's predictions there.

A cell has a key, a hash of all that its result depends on: the checkpoint's files, scenario, robot and settings. Its result is
`cells/SCENARIO/ARM-KEY.json`. So what changed runs again, what did not is taken from disk, and methods with the same planner
share the oracle. The code is not part of the key: after a change of it, give another folder.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.planning import PlannerConfig
from sim.scenarios.loading import find_scenario

FORMAT = 1
"""Number of the form of a cell's result; a change of it makes all cells run again."""
PREDICTION = "prediction"
"""The arm of a cell that measures predictions."""


@dataclass(frozen=True)
class Cell:
    """One arm on the episodes of one scenario.

    Attributes:
        scenario: the scenario, as `load_scenario` takes it.
        arm: adaptive, frozen, ungated, immediate, as_wired, multitask, oracle, random, or prediction.
        episodes: number of episodes.
        seed: seed of the first one.
        checkpoint: the model; None for oracle and random.
        planner: settings of the oracle's planner; None for the other arms, since a model brings its own.
        source: the oracle's cell whose episodes are predicted; None for what is not a prediction.
        fingerprint: hash of scenario, robot and checkpoint.
        folder: name of the folder of the result.
    """

    scenario: str
    arm: str
    episodes: int
    seed: int
    fingerprint: str
    folder: str
    checkpoint: str | None = None
    planner: PlannerConfig | None = None
    source: Cell | None = None

    @cached_property
    def key(self) -> str:
        """Hash of all that the result depends on."""
        about = {
            "format": FORMAT,
            "part": find_scenario(self.scenario)[1],
            "arm": self.arm,
            "episodes": self.episodes,
            "seed": self.seed,
            "planner": None if self.planner is None else _on_the_truth(self.planner),
            "files": self.fingerprint,
            "source": None if self.source is None else self.source.key,
        }
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:20]

    def path(self, out: Path) -> Path:
        """The file of the result."""
        return out / "cells" / self.folder / f"{self.arm}-{self.key}.json"

    def episodes_folder(self, out: Path) -> Path:
        """Where an oracle's episodes are kept, for predictions."""
        return self.path(out).with_suffix(".episodes")


@dataclass(frozen=True)
class Model:
    """One checkpoint of a protocol.

    Attributes:
        method: name of its method.
        seed: its training seed.
        place: folder, or name of a shipped checkpoint.
        provenance: how it was made, from the checkpoint.
        arms: its cells by arm.
        prediction: the cell that measures its predictions; None without an oracle, whose episodes are predicted.
        oracle: the cell of the planner on the true dynamics that its scores refer to; None without one.
    """

    method: str
    seed: int
    place: str
    provenance: dict[str, Any]
    arms: dict[str, Cell]
    oracle: Cell | None = None
    prediction: Cell | None = None


@dataclass(frozen=True)
class Field:
    """All that meets on one scenario of a protocol.

    Attributes:
        protocol: name of the protocol.
        scenario: the scenario, as the suite names it.
        robot: name of the robot.
        models: the models, in the suite's order.
        random: the cell of the random policy; None without one.
    """

    protocol: str
    scenario: str
    robot: str
    models: tuple[Model, ...]
    random: Cell | None

    def cells(self) -> list[Cell]:
        """Every cell once."""
        found = [self.random, *(m.oracle for m in self.models), *(c for m in self.models for c in m.arms.values())]
        found += [m.prediction for m in self.models]
        return list({cell.key: cell for cell in found if cell is not None}.values())


def _on_the_truth(planner: PlannerConfig) -> dict[str, Any]:
    """The settings that matter to an oracle: the true dynamics are one particle, whose return every risk leaves as it is."""
    settings = {name: value for name, value in to_mapping(planner)[planner.TAG].items() if name != "risk"}
    return {planner.TAG: settings}


def _planner(cell: Cell) -> str:
    """The planner of an oracle, with the beginning of its key, since two of one kind may have different settings."""
    return "" if cell.planner is None else f" ({cell.planner.TAG}, {cell.key[:6]})"


@dataclass(frozen=True)
class Plan:
    """What a benchmark runs.

    Attributes:
        fields: one for each scenario of each protocol.
        missing: checkpoints that are not there and were left out.
    """

    fields: tuple[Field, ...]
    missing: tuple[str, ...] = ()

    def labels(self) -> dict[str, str]:
        """What each cell is, in words, by its key."""
        found: dict[str, str] = {}
        for f in self.fields:
            for model in f.models:
                cells = [*model.arms.values(), *([model.prediction] if model.prediction else [])]
                found |= {c.key: f"{f.scenario}, {model.method} seed {model.seed}, {c.arm}" for c in cells}
        others = [cell for cell in self.cells() if cell.key not in found]
        # oracles of one scenario differ by their planner only
        same = Counter((cell.scenario, cell.arm) for cell in others)
        return found | {c.key: f"{c.scenario}, {c.arm}{_planner(c) if same[c.scenario, c.arm] > 1 else ''}" for c in others}

    def cells(self) -> list[Cell]:
        """Every cell once: first the oracle's, which take longest, and last predictions, which need the oracle's episodes."""
        found = {cell.key: cell for f in self.fields for cell in f.cells()}
        return sorted(found.values(), key=lambda cell: {"oracle": 0, PREDICTION: 2}.get(cell.arm, 1))
