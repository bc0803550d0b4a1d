"""The sub-command `init`."""

from __future__ import annotations

import shlex

import numpy as np

from adaptive_mbrl.options import InitOptions
from sim.init.channels import names_of
from sim.init.files import MODEL, require_new, write_files
from sim.init.origins import find_origin
from sim.init.plan import Plan, make_plan
from sim.robot import Robot
from sim.simulation import BatchSimulation

_SEEDS = (0, 1, 2, 3)
_TRIED_STEPS = 100
_MANY_CHANNELS = 60
"""From so many observation channels on, a robot is a large one."""


def init(options: InitOptions) -> None:
    """Write the folder and say what to do next."""
    require_new(options.folder)
    origin = find_origin(options, options.folder)
    plan = make_plan(origin, options)
    robot = write_files(plan, options.robot, options.folder)
    _tell(plan, robot, options)


def _tell(plan: Plan, robot: Robot, options: InitOptions) -> None:
    folder = shlex.quote(options.folder.as_posix())
    motors = f"{len(plan.actuators)} actuator{'s' if len(plan.actuators) > 1 else ''}"
    print(
        f"{folder}: {plan.origin.described}; {len(names_of(plan.channels))} observation channels, "
        f"{motors}, control period {plan.timing.dt:g} s. Task: {plan.task.summary}"
    )
    for sentence in (*_notes(plan), *_warnings(robot)):
        print(f"note: {sentence}")
    print("next (README.md in the folder has more):")
    print(f"  adaptive-mbrl collect --robot {folder}/robot.yaml --policy oracle --config {folder}/train.yaml --episodes 2")
    print(f"  adaptive-mbrl train --config {folder}/train.yaml")
    run = f"runs/train/{options.folder.absolute().name}"
    print(
        f"  adaptive-mbrl evaluate --checkpoint {run}/checkpoint --scenario {folder}/split.yaml:test --video {options.robot}.mp4"
    )


def _notes(plan: Plan) -> list[str]:
    """What a user may want to know about what was written."""
    notes = []
    if plan.edits:
        notes.append(f"the folder has a copy of the model, {MODEL}, with {' and '.join(plan.edits)}; the original is as it was")
    guessed = [a.name for a in plan.actuators if "no ctrlrange" in a.comment]
    if guessed:
        notes.append(f"the model gives no ctrlrange for {', '.join(guessed)}: look at `actions` in robot.yaml")
    if len(names_of(plan.channels)) > _MANY_CHANNELS:
        notes.append("this is a large robot, which takes more than a first training of this size; start with a smaller one")
    return notes


def _warnings(robot: Robot) -> list[str]:
    """What random actions for a few seconds show."""
    simulation = BatchSimulation(robot, num_robots=len(_SEEDS), on_unstable="end")
    simulation.reset(seeds=_SEEDS)
    rng = np.random.default_rng(0)
    for _ in range(_TRIED_STEPS):
        simulation.step(rng.uniform(robot.action_low, robot.action_high, (len(_SEEDS), robot.spec.action_dim)))
    unstable = [found for found in simulation.instabilities if found is not None]
    if not unstable:
        return []
    return [
        f"with random actions the physics became unstable after {min(found.step for found in unstable)} control steps: "
        "set `sim_dt` in robot.yaml to half the physics step, or make the ranges of `actions` smaller"
    ]
