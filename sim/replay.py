"""Run the step of a dump again, exactly as it was: the sub-command `replay`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from torch import Tensor

from adaptive_mbrl.control.dump import KIND as CONTROL_STEP
from adaptive_mbrl.control.dump import replay_control_step
from adaptive_mbrl.dump import Dump, non_finite, read_dump
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.dump import KIND as TRAINING_STEP
from adaptive_mbrl.meta.dump import replay_training_step
from adaptive_mbrl.options import ReplayOptions
from sim.robot.robot import load_robot
from sim.robot_file import robot_text
from sim.simulation.dump import KIND as SIMULATION_STEP
from sim.simulation.dump import replay_simulation_step


def replay(options: ReplayOptions) -> None:
    """Print what the file says, and what comes out of the step when it is run again."""
    dump = read_dump(options.file)
    if dump.kind not in _STEPS:
        raise ConfigError(f"{options.file}: a dump of kind '{dump.kind}'; known kinds: {', '.join(_STEPS)}")
    print(f"{dump.kind.replace('_', ' ')} of revision {dump.about['revision']}, written because: {dump.reason}")
    for name, part in {"weights": dump.part("adapter"), "inputs": _inputs(dump)}.items():
        found = non_finite(part)
        print(f"{name}: {'not finite in ' + '; '.join(found) if found else 'all finite'}")
    try:
        for line in _STEPS[dump.kind](dump):
            print(line)
    except (KeyError, TypeError, RuntimeError, StopIteration) as error:
        revision = dump.about["revision"]
        raise ConfigError(
            f"{options.file}: cannot be replayed with this code; it was written by revision {revision}: {error!r}"
        ) from error


def _inputs(dump: Dump) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in dump.tensors.items() if not name.startswith("adapter.")}


def _control_step(dump: Dump) -> Iterator[str]:
    _, plan, report = replay_control_step(dump)
    if not dump.about["objective_is_in_the_file"]:
        yield "note: it was planned with a reward function of the caller's own; the return and action here are the checkpoint's"
    for name, value in (*report._asdict().items(), ("action", plan.actions[:, 0])):
        if value.numel():
            yield f"{name.replace('_', ' ')}: {value.tolist()}"


def _training_step(dump: Dump) -> Iterator[str]:
    result = replay_training_step(dump)
    yield f"loss: {result.loss:g}; {result.failed_windows} of {result.windows} windows are not finite"
    failed = f"; not finite in {', '.join(result.failed_gradients)}" if result.failed_gradients else ""
    yield f"gradient: norm {result.gradient_norm:g}{failed}"


def _simulation_step(dump: Dump) -> Iterator[str]:
    unstable, before, after = replay_simulation_step(dump)
    if robot_text(load_robot(dump.about["robot"]).path) != dump.about["robot_file"]:
        yield f"note: the file of robot '{dump.about['robot']}' has changed since then"
    when = f"control step {dump.about['step']}, seed {dump.about['seed']}"
    yield f"{dump.about['robot']} under {dump.about['change'] or 'no change'}, {when}"
    yield f"largest joint velocity before the step: {np.abs(before).max():.3g}, after it: {np.abs(after).max():.3g}"
    yield "the physics becomes unstable again" if unstable else "the physics stays stable this time"


_STEPS: dict[str, Callable[[Dump], Iterator[str]]] = {
    CONTROL_STEP: _control_step,
    TRAINING_STEP: _training_step,
    SIMULATION_STEP: _simulation_step,
}
