"""Publishes the node's state, plan and belief in every control period, for people to look at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from adaptive_mbrl.controller import Command
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.middleware.messages import Float64MultiArray, MultiArrayDimension, MultiArrayLayout, String
from robot_bridge.middleware.transport import Transport
from robot_bridge.safety.supervisor import Decision

_OF_STEP = (
    "prior_error",
    "adapted_error",
    "fell_back",
    "run_length",
    "predicted_return",
    "adapt_seconds",
    "plan_seconds",
    "delay",
)
BELIEF = (*_OF_STEP, "paused", "reversed")
"""Entries of `~/belief`: fields of `StepInfo`, whether adapting pauses, and how many motors are taken to be reversed."""
DIAGNOSIS = "mean,std"
"""Rows of `~/diagnosis`."""


class Telemetry:
    """Publishes `~/state` and `~/reaction` (String), `~/plan` (H x action_dim) and `~/belief` (see `BELIEF`).

    Where the checkpoint has a diagnosis, it also publishes `~/diagnosis` (2 x L).

    Args:
        spec: the robot's channels.
        transport: the transport of the topics.
        name: the node's name.
        diagnosis_names: the physical parameters that the checkpoint's diagnosis is about; none if it has no diagnosis.
        is_paused: whether adapting pauses by itself.
    """

    def __init__(
        self,
        spec: RobotSpec,
        transport: Transport,
        name: str,
        diagnosis_names: tuple[str, ...] = (),
        is_paused: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_paused = is_paused
        self._reaction = transport.publisher(f"/{name}/reaction", String)
        self._actions = spec.action_names
        # whoever comes while nothing is published, for example before the node is active, learns the last state
        self._state = transport.publisher(f"/{name}/state", String, transient_local=True)
        self._plan = transport.publisher(f"/{name}/plan", Float64MultiArray, reliable=False)
        self._belief = transport.publisher(f"/{name}/belief", Float64MultiArray, reliable=False)
        self._parameters = ",".join(diagnosis_names)
        self._diagnosis = (
            transport.publisher(f"/{name}/diagnosis", Float64MultiArray, reliable=False) if diagnosis_names else None
        )
        self._shown: Command | None = None

    def __call__(self, decision: Decision, command: Command | None) -> None:
        """Publish the decision of a control period, and its plan and belief unless they were published before."""
        self._state(String(decision.state.value))
        self._reaction(String(" ".join(filter(None, (decision.reaction or "none", decision.outcome)))))
        if command is None or command is self._shown:
            return
        self._shown = command
        self._plan(labelled(("step", ",".join(self._actions)), command.plan))
        of_step = [float(np.ravel(getattr(command.info, name))[0]) for name in _OF_STEP]
        self._belief(labelled((",".join(BELIEF),), np.array([*of_step, float(self._is_paused()), float(len(self.reversed))])))
        if self._diagnosis is not None:
            self._diagnosis(labelled((DIAGNOSIS, self._parameters), command.info.diagnosis[0]))

    @property
    def reversed(self) -> tuple[str, ...]:
        """The actions whose motors the newest plan takes to be wired backwards."""
        return () if self._shown is None else self._shown.info.reversed_actions(self._actions)


def labelled(labels: tuple[str, ...], values: np.ndarray) -> Float64MultiArray:
    """An array as a message in row-major order, with a label for each axis."""
    strides = [int(np.prod(values.shape[axis:])) for axis in range(values.ndim)]
    axes = [MultiArrayDimension(*axis) for axis in zip(labels, values.shape, strides, strict=True)]
    return Float64MultiArray(MultiArrayLayout(axes), [float(x) for x in np.ravel(values)])
