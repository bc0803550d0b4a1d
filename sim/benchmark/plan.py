"""From a suite to its cells: every checkpoint, scenario and robot is loaded, so that a mistake is found before anything runs."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from adaptive_mbrl.checkpoint import (
    DESCRIPTION_FILE,
    REWARD_FILE,
    TERMINATION_FILE,
    VALUE_FILE,
    WEIGHTS_FILE,
    find_checkpoint,
    load_checkpoint,
    require_robot,
)
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.planning import GradientPlannerConfig
from sim.benchmark.cells import PREDICTION, Cell, Field, Model, Plan
from sim.benchmark.suite import VARIANTS, MethodEntry, Suite
from sim.robot.robot import Robot, load_robot
from sim.robot_file import robot_text
from sim.scenarios.loading import find_scenario, load_scenario


def make_plan(suite: Suite, runs: Path, *, skip_missing: bool = False) -> Plan:
    """The cells of a suite.

    Args:
        suite: the suite.
        runs: folder that `train-suite` trains in.
        skip_missing: leave out checkpoints that are not there, instead of refusing.

    Raises:
        CheckpointError: a checkpoint is missing, damaged or of another robot.
    """
    fields: list[Field] = []
    missing: list[str] = []
    for protocol in suite.protocols:
        found = []
        for method, seed, place in protocol.models(runs):
            if _is_there(place, method, suite, runs, skip_missing):
                found.append((method.name, seed, place))
            else:
                missing.append(place)
        fields += [_field(suite, protocol.name, scenario, found) for scenario in protocol.scenarios]
    fields = [f for f in fields if f.models]
    if not fields:
        raise CheckpointError(f"suite '{suite.name}': none of its checkpoints is there; {_how_to_train(suite, runs)}")
    return Plan(tuple(fields), tuple(dict.fromkeys(missing)))


def _is_there(place: str, method: MethodEntry, suite: Suite, runs: Path, skip_missing: bool) -> bool:
    try:
        find_checkpoint(place)
    except CheckpointError as error:
        if skip_missing:
            return False
        if method.train is None:
            raise CheckpointError(f"suite '{suite.name}', method '{method.name}': {error}") from error
        hint = f"{_how_to_train(suite, runs)}; or leave it out: --skip-missing"
        raise CheckpointError(f"{place}: no such checkpoint; {hint}") from error
    return True


def _how_to_train(suite: Suite, runs: Path) -> str:
    return f"train it with: {shlex.join(['adaptive-mbrl', 'train-suite', '--suite', suite.source, '--runs', str(runs)])}"


def _field(suite: Suite, protocol: str, scenario: str, found: list[tuple[str, int, str]]) -> Field:
    robot = load_robot(load_scenario(scenario).robot)
    where = tuple(map(_digest, (find_scenario(scenario)[0].read_bytes(), robot_text(robot.path).encode(), _compiled(robot))))
    models = [_model(suite, scenario, robot, where, *model) for model in found]
    models = [model for model in models if model.arms]
    # all models are to predict the same episodes, and a planner that needs a derivative is scored by another one's oracle
    reference = next((m.oracle for m in models if m.oracle is not None), None)
    if reference is not None:
        models = [_with_oracle(model, reference) for model in models]
    random = _cell(suite, scenario, "random", where) if "random" in suite.arms else None
    return Field(protocol, scenario, robot.name, tuple(models), random)


def _model(suite: Suite, scenario: str, robot: Robot, where: tuple[bytes, ...], method: str, seed: int, place: str) -> Model:
    checkpoint = load_checkpoint(place)
    require_robot(checkpoint, robot.spec, place)
    about = checkpoint.description
    names: tuple[str, ...] = ("multitask",) if about.is_multitask else ("adaptive", *VARIANTS)
    arms = [name for name in names if name in suite.arms]
    digests = (*where, *_files(place))
    cells = {str(arm): _cell(suite, scenario, arm, digests, checkpoint=place) for arm in arms}
    has_oracle = "oracle" in suite.arms and not isinstance(about.planner, GradientPlannerConfig)
    oracle = _cell(suite, scenario, "oracle", where, planner=about.planner) if has_oracle else None
    return Model(method, seed, place, dict(about.provenance), cells, oracle)


def _with_oracle(model: Model, reference: Cell) -> Model:
    arm = next(iter(model.arms.values()))
    return replace(model, oracle=model.oracle or reference, prediction=replace(arm, arm=PREDICTION, source=reference))


def _cell(suite: Suite, scenario: str, arm: str, digests: tuple[bytes, ...], **more: Any) -> Cell:
    file, part = find_scenario(scenario)
    # where the file lies does not matter; scenarios of the same name have different keys
    folder = "-".join(filter(None, (file.stem, part)))
    return Cell(scenario, arm, suite.episodes, suite.seed, _digest(b"".join(digests)).hex(), folder, **more)


def _files(place: str) -> tuple[bytes, ...]:
    folder = find_checkpoint(place)
    further = [name for name in (VALUE_FILE, REWARD_FILE, TERMINATION_FILE) if (folder / name).is_file()]
    names = [DESCRIPTION_FILE, WEIGHTS_FILE, *further]
    return tuple(_digest((folder / name).read_bytes()) for name in names)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _compiled(robot: Robot) -> bytes:
    """The robot's MuJoCo model: an MJCF may include other files."""
    buffer = np.empty(mujoco.mj_sizeModel(robot.model), np.uint8)
    mujoco.mj_saveModel(robot.model, None, buffer)
    return buffer.tobytes()
