"""Run one cell and write its result."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from adaptive_mbrl.adaptation.reversal import ReversalConfig
from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.control.gate import GateConfig
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.dump import DUMP_FOLDER
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.planning import ICEMConfig
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.storage import atomic_folder, write_text_atomically
from sim.benchmark.cells import FORMAT, PREDICTION, Cell
from sim.episodes.policies import load_controller
from sim.evaluation.arms import Arm, make_policies, run_arm
from sim.evaluation.evidence import evidence_errors
from sim.evaluation.report import arm_report, plain, scenario_report
from sim.evaluation.setup import Setup
from sim.robot.robot import load_robot
from sim.scenarios.loading import load_scenario

Result = dict[str, Any]


# of the code that is running, which does not change with the checkout
_revision = cache(git_revision)


def read_result(cell: Cell, out: Path) -> Result | None:
    """The result of a cell that has run; None if it has not, or if its file is damaged."""
    try:
        result: Result = json.loads(cell.path(out).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) and result.get("key") == cell.key else None


def run_cell(cell: Cell, out: Path) -> None:
    """Run a cell and write its result below the benchmark's folder."""
    begun = time.monotonic()
    content = _predict(cell, out) if cell.arm == PREDICTION else _control(cell, out)
    about = {
        "format": FORMAT,
        "key": cell.key,
        "scenario": cell.scenario,
        "arm": cell.arm,
        "episodes": cell.episodes,
        "seed": cell.seed,
        "checkpoint": cell.checkpoint,
        "planner": to_mapping(cell.planner),
        "git_revision": _revision(),
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": time.monotonic() - begun,
    }
    write_text_atomically(cell.path(out), json.dumps(plain(about | content), allow_nan=False) + "\n")


def _control(cell: Cell, out: Path) -> Result:
    setup = _setup(cell)
    arm = run_arm(setup, cell.arm, make_policies(setup)[cell.arm], lambda name, steps: lambda: None)
    if cell.arm == "oracle":
        _keep_episodes(cell, out, setup, arm)
    return {
        "robot": setup.robot.name,
        "dt": setup.robot.spec.dt,
        "scenarios": [scenario_report(s) for s in setup.scenarios],
        "instabilities": [None if i is None else {"step": i.step, "change": i.change.to_changes()} for i in arm.instabilities],
        **arm_report(arm),
    }


def _setup(cell: Cell) -> Setup:
    """The setup of an evaluation with this one arm."""
    course = load_scenario(cell.scenario)
    robot = load_robot(course.robot)
    controllers, planner = {}, cell.planner or ICEMConfig()
    if cell.checkpoint is not None:
        gate = None if cell.arm == "ungated" else GateConfig()
        # an action that acts late would be taken for one that acts backwards
        reversals = None if cell.arm in ("as_wired", "immediate") else ReversalConfig()
        adapt = cell.arm != "frozen"
        controller = load_controller(cell.checkpoint, robot, adapt=adapt, gate=gate, reversals=reversals, dump_folder=DUMP_FOLDER)
        controllers[cell.arm] = controller.with_max_delay(0) if cell.arm == "immediate" else controller
    scenarios = tuple(course.episodes(cell.episodes, cell.seed))
    checkpoints = {} if cell.checkpoint is None else {cell.arm: cell.checkpoint}
    return Setup(robot, scenarios, controllers, planner, cell.seed, cell.arm == "oracle", checkpoints)


def _keep_episodes(cell: Cell, out: Path, setup: Setup, arm: Arm) -> None:
    folder = cell.episodes_folder(out)
    # what a run that was killed right after writing them has left
    shutil.rmtree(folder, ignore_errors=True)
    with atomic_folder(folder) as temporary:
        EpisodeStore.open(temporary, setup.robot.spec).append(arm.episodes)


def _predict(cell: Cell, out: Path) -> Result:
    assert cell.source is not None
    assert cell.checkpoint is not None
    oracle = read_result(cell.source, out)
    if oracle is None:
        raise CheckpointError(f"{cell.source.path(out)}: the oracle's episodes are missing, so nothing can be predicted")
    episodes = EpisodeStore.open(cell.source.episodes_folder(out)).episodes
    changes = [scenario["last_change"] for scenario in oracle["scenarios"]]
    found = evidence_errors(AdaptiveController.load(cell.checkpoint), episodes, changes)
    return {"evidence": found.evidence, "errors": found.errors, "windows": found.windows}
