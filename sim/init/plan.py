"""Everything that the files of a robot say, before they are written."""

from __future__ import annotations

from dataclasses import dataclass

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import InitOptions
from sim.init.actuators import Actuator, actuators_of
from sim.init.added_actuators import add_actuators
from sim.init.anatomy import Anatomy, look_at
from sim.init.bridge import BridgeDraft, bridge_of
from sim.init.changes import Split, changes_of
from sim.init.channels import names_of, observe
from sim.init.draft import Entry, Task, Timing
from sim.init.naming import give_names
from sim.init.origins.origin import Origin
from sim.init.tasks import choose_task, make_task
from sim.init.tasks.reach import end_site
from sim.init.timing import timing, with_period
from sim.init.training import TrainingSize, size_of

_OF_ENVIRONMENT = "that of the environment"
_SHORT = 0.02
"""Below this control period [s] a planner sees little of what its actions lead to."""


@dataclass(frozen=True)
class Plan:
    """Everything that the files of a robot say.

    Attributes:
        origin: the model.
        edits: what was changed in the model, as parts of a sentence; with any, the folder gets a copy of it.
        actuators: the action channels.
        channels: the observation channels.
        task: what is rewarded.
        timing: the control period.
        split: what may happen to the robot.
        training: how large the training is.
        bridge: the topics.
        runs: whether the robot is to get ahead.
    """

    origin: Origin
    edits: tuple[str, ...]
    actuators: tuple[Actuator, ...]
    channels: tuple[Entry, ...]
    task: Task
    timing: Timing
    split: Split
    training: TrainingSize
    bridge: BridgeDraft
    runs: bool


def make_plan(origin: Origin, options: InitOptions) -> Plan:
    """Look at a model and decide what the files say.

    Args:
        origin: the model; names and actuators may be added to it.
        options: the flags.

    Raises:
        ConfigError: the model is no robot, or cannot do what the flags ask for.
    """
    edits = _complete(origin, options)
    anatomy = look_at(origin.spec.compile(), use_keyframe=origin.use_keyframe)
    actuators = actuators_of(anatomy)
    kind = choose_task(anatomy, options.task or origin.task)
    runs = kind == "run"
    channels = observe(anatomy, runs=runs, site=end_site(anatomy) if kind == "reach" else None)
    task = make_task(kind, anatomy, actuators, channels)
    if origin.adjust is not None and options.task is None:
        task = origin.adjust(task, anatomy, actuators, channels)
    period = _timing(origin, anatomy, actuators, kind)
    return Plan(
        origin=origin,
        edits=edits,
        actuators=actuators,
        channels=channels,
        task=task,
        timing=period,
        split=changes_of(anatomy, actuators, kind),
        training=size_of(len(names_of(channels)), period, walks=runs),
        bridge=bridge_of(anatomy, actuators, channels, task, period),
        runs=runs,
    )


def _complete(origin: Origin, options: InitOptions) -> tuple[str, ...]:
    """Give the model the names and actuators that it needs."""
    named = give_names(origin.spec)
    edits = [f"names for {' and '.join(named)}"] if named else []
    if origin.spec.compile().njnt == 0:
        raise ConfigError(f"{_source(options)}: the model has no joints, so that nothing in it can move; add some")
    if options.actuators is not None:
        if origin.spec.actuators:
            raise ConfigError(f"--actuators {options.actuators}: the model has actuators already; leave the flag out")
        count = add_actuators(origin.spec, options.actuators)
        edits.append(f"{count} {options.actuators} actuator{'s' if count > 1 else ''}")
    if not origin.spec.actuators:
        raise ConfigError(
            f"{_source(options)}: the model has no actuators, so there is nothing to command; add an <actuator> section, or "
            "let init add some: --actuators motor (forces) or --actuators position (positions that are held)"
        )
    return tuple(edits)


def _source(options: InitOptions) -> str:
    return str(options.model_file or options.gym or options.dm_control or options.menagerie)


def _timing(origin: Origin, anatomy: Anatomy, actuators: tuple[Actuator, ...], kind: str) -> Timing:
    if origin.dt is not None:
        further = ". With two to five times as much the planner sees further ahead, for the same computing time"
        reason = _OF_ENVIRONMENT + (further if origin.dt < _SHORT else "")
        return with_period(origin.dt, float(anatomy.model.opt.timestep), reason)
    return timing(anatomy, actuators, balances=kind == "balance")
