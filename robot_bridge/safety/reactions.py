"""What is done about faults: a ladder from a warning to zero, of which the severest rung wins.

    warn      go on; the fault is published
    slow      go on with a part of the plan, and with slower changes
    hold      repeat the last command
    return    lead the commands to a posture, smoothly, and stay there
    damping   brake by the measured velocities
    zero      zero, or the limit nearest to it

A fault may be given a delay, in which it is only warned of and a person can take the decision to go on (`override`). The idea is
that of PX4's failsafes; unlike there, nothing can be overridden once the delay is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from adaptive_mbrl.config import bounded, did_you_mean
from adaptive_mbrl.errors import ConfigError
from robot_bridge.safety.faults import FAULT_KINDS, UNFIT, Fault, FaultKind

Reaction = Literal["warn", "slow", "hold", "return", "damping", "zero"]
REACTIONS: tuple[Reaction, ...] = get_args(Reaction)
"""From the mildest to the severest."""
WARNED_OF: frozenset[FaultKind] = frozenset(
    (
        *("drift", "actuator_weak", "actuator_dead", "actuator_reversed", "sign_turned", "belief_oscillates"),
        *("battery_low", "hot", "high_load", "falling", "monitor_warning"),
    )
)
"""By default these are warned of only: the controller adapts to them, or a robot's file calls their limits warnings."""


Key = tuple[FaultKind, str]
"""A kind of fault, and the channel, actuator or monitor that it is about."""


def severity(reaction: Reaction) -> int:
    """How severe a reaction is; a larger number is more severe."""
    return REACTIONS.index(reaction)


def stops(reaction: Reaction) -> bool:
    """Whether the robot stops to follow the plan."""
    return severity(reaction) >= severity("hold")


@dataclass(frozen=True)
class ReactionConfig:
    """The reaction to one kind of fault.

    Attributes:
        action: the rung of the ladder.
        after: how long the fault must last before [s]. Until then it is warned of, and a person can call `~/override`.
    """

    action: Reaction
    after: float = bounded(0.0, low=0.0, high=600.0)


class Reactions:
    """Chooses the reaction to the faults of each control step.

    Args:
        chosen: reactions by kind of fault; other kinds get their default.
        default: the reaction to kinds without an entry.

    Raises:
        ConfigError: there is no such kind, or a reaction lets the plan be followed without an observation or a plan.
    """

    def __init__(self, chosen: Mapping[str, ReactionConfig], default: Reaction) -> None:
        for kind, reaction in chosen.items():
            if kind not in FAULT_KINDS:
                hint, known = did_you_mean(kind, FAULT_KINDS), ", ".join(FAULT_KINDS)
                raise ConfigError(f"key 'safety.reactions': unknown fault '{kind}'{hint}; known faults: {known}")
            if kind in UNFIT and (not stops(reaction.action) or reaction.after > 0):
                stopping = ", ".join(REACTIONS[severity("hold") :])
                raise ConfigError(
                    f"key 'safety.reactions.{kind}': no plan can be followed then; allowed: {stopping}, without 'after'"
                )
        self._chosen = {kind: chosen.get(kind, ReactionConfig("warn" if kind in WARNED_OF else default)) for kind in FAULT_KINDS}
        self._lasted: dict[Key, float] = {}
        self._overridden: set[Key] = set()

    @property
    def waiting(self) -> tuple[Key, ...]:
        """Faults that are warned of for now, and become more severe unless they are overridden."""
        return tuple(
            key for key, lasted in self._lasted.items() if lasted < self._chosen[key[0]].after and key not in self._overridden
        )

    def override(self) -> tuple[Key, ...]:
        """A person decides to go on: the faults that are waiting stay warnings until they are gone."""
        overridden = self.waiting
        self._overridden.update(overridden)
        return overridden

    def forget(self) -> None:
        """The robot is not controlled any more: decisions and delays of this time say nothing about the next one."""
        self._lasted.clear()
        self._overridden.clear()

    def severest(self, faults: Iterable[Fault], passed: float) -> Reaction | None:
        """The reaction to the faults of a control step; None without any.

        Args:
            faults: all faults of this step.
            passed: time since the step before [s].
        """
        present: set[Key] = {(fault.kind, fault.about) for fault in faults}
        lasted = {key: self._after(key, passed, key in present) for key in {*self._lasted, *present}}
        # one that flickers goes on; it is gone once it has been absent for as long as it lasted, up to its delay
        self._lasted = {key: seconds for key, seconds in sorted(lasted.items()) if seconds > 0 or key in present}
        self._overridden &= self._lasted.keys()
        return max((self._now(key) for key in present), key=severity, default=None)

    def _after(self, key: Key, passed: float, is_present: bool) -> float:
        if key not in self._lasted:
            return 0.0
        return min(self._lasted[key] + (passed if is_present else -passed), self._chosen[key[0]].after)

    def _now(self, key: Key) -> Reaction:
        chosen = self._chosen[key[0]]
        is_early = key in self._overridden or self._lasted[key] < chosen.after
        return "warn" if is_early else chosen.action
