"""When adapting pauses by itself: while nothing can be learned, or while what can be learned is not about this robot's work.

There are two kinds of reasons. While a robot hardly moves, its transitions are true but say nothing. While somebody holds it, or
while it hangs in the air, they are about other dynamics, and must not get into the window of what is learned from.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.spec import RobotSpec
from robot_bridge.control.excitation import Excitation
from robot_bridge.control.pause_config import ContactCondition, PauseConfig
from robot_bridge.middleware.fields import field_of
from robot_bridge.middleware.messages import Message
from robot_bridge.middleware.transport import Transport
from robot_bridge.safety.observation_checks import Observed

Array = NDArray[np.float64]
RESUME_FACTOR = 1.5
"""By how much the excitation must exceed the limit before adapting goes on, so that it does not flicker."""


class Pause(NamedTuple):
    """Whether adapting pauses.

    Attributes:
        reason: why, in words; empty where it does not pause.
        is_other_dynamics: whether what is seen meanwhile must not be learned from.
    """

    reason: str = ""
    is_other_dynamics: bool = False


class AdaptationPause:
    """Decides in every control period. `look` is for the control loop's thread.

    Args:
        config: when adapting pauses.
        spec: the robot's channels.
        obs_std: standard deviation of each observation channel in the training data, (obs_dim,).
        transport: the transport of the topics about contact, which are subscribed to in the constructor.
    """

    def __init__(self, config: PauseConfig, spec: RobotSpec, obs_std: Array, transport: Transport) -> None:
        self._config, self._spec = config, spec
        self._excitation = Excitation(spec, obs_std, max(2, round(config.window_seconds / spec.dt)))
        self._said: dict[str, tuple[float, float]] = {}
        self._present = Pause()
        self._until = -math.inf
        for name, condition in config.contact.items():
            if condition.topic:
                transport.subscribe(condition.topic, condition.message_type, partial(self.receive, name))

    @property
    def excitation(self) -> float:
        """How much states and commands have changed lately [training stds]; NaN where it is not known."""
        return self._excitation.value

    def trained_on(self, obs_std: Array) -> None:
        """From now on the controller's training data have these standard deviations, (obs_dim,)."""
        self._excitation.trained_on(obs_std)

    def receive(self, name: str, message: Message, received: float) -> None:
        """Take over a message about contact."""
        self._said[name] = field_of(message, self._config.contact[name].field), received

    def look(self, now: float, observed: Observed, command: Array) -> Pause:
        """Whether adapting pauses now.

        Args:
            now: monotonic time [s].
            observed: the newest observation.
            command: the command that acts, (action_dim,).
        """
        self._excitation.add(observed.values, command)
        found = self._found(now, observed)
        if found.reason:
            # what was wrong once is kept out of the window until everything has been right for a while
            keeps_out = self._present.is_other_dynamics or found.is_other_dynamics
            self._present, self._until = Pause(found.reason, keeps_out), now + self._config.resume_seconds
        elif now >= self._until or now < self._until - self._config.resume_seconds:
            self._present = Pause()
        return self._present

    def _found(self, now: float, observed: Observed) -> Pause:
        for name, condition in self._config.contact.items():
            if self._is_wrong(name, condition, now, observed):
                return Pause(name, is_other_dynamics=True)
        limit = self._config.excitation_below * (RESUME_FACTOR if self._present.reason else 1.0)
        if limit > 0 and self._excitation.value < limit:
            return Pause("too little excitation")
        return Pause()

    def _is_wrong(self, name: str, condition: ContactCondition, now: float, observed: Observed) -> bool:
        if condition.channel:
            return condition.holds(float(observed.values[self._spec.obs_index(condition.channel)]))
        value, at = self._said.get(name, (math.nan, -math.inf))
        return condition.holds(value) or (condition.max_age > 0 and now - at > condition.max_age)
