"""What is done about faults: a ladder from a warning to zero, of which the severest rung wins.

    warn      go on; the fault is published
    slow      go on with a part of the plan, and with slower changes
    hold      repeat the last command
    return    lead the commands to a posture, smoothly, and stay there
    damping   brake by the measured velocities
    zero      zero, or the limit nearest to it

A fault may be given a delay, in which it is only warned of and a person can take the decision (`override`), as PX4 does it with
its failsafes.
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
WARNED_OF: frozenset[FaultKind] = frozenset(("drift", "actuator_weak", "actuator_dead", "actuator_reversed"))
"""By default these are warned of only: the controller adapts to them, and no limit is broken."""


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
        self._lasted: dict[FaultKind, float] = {}
        self._overridden: set[FaultKind] = set()

    @property
    def waiting(self) -> tuple[FaultKind, ...]:
        """Faults that are warned of for now, and become more severe unless they are overridden."""
        return tuple(
            kind for kind, lasted in self._lasted.items() if lasted < self._chosen[kind].after and kind not in self._overridden
        )

    def override(self) -> tuple[FaultKind, ...]:
        """A person decides to go on: the faults that are waiting stay warnings until they are gone."""
        overridden = self.waiting
        self._overridden.update(overridden)
        return overridden

    def severest(self, faults: Iterable[Fault], passed: float) -> Reaction | None:
        """The reaction to the faults of a control step; None without any.

        Args:
            faults: all faults of this step.
            passed: time since the step before [s].
        """
        kinds = {fault.kind for fault in faults}
        self._lasted = {kind: self._lasted[kind] + passed if kind in self._lasted else 0.0 for kind in sorted(kinds)}
        self._overridden &= kinds
        return max(map(self._now, kinds), key=severity, default=None)

    def _now(self, kind: FaultKind) -> Reaction:
        chosen = self._chosen[kind]
        is_early = kind in self._overridden or self._lasted[kind] < chosen.after
        return "warn" if is_early else chosen.action
