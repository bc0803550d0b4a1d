"""The parts of `/diagnostics` that are about the machine: the control loop's period, clocks, processor and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from robot_bridge.control.loop import ControlLoop
from robot_bridge.machine.clock_steps import ClockSteps
from robot_bridge.machine.control_group import ControlGroup
from robot_bridge.machine.judgement import WARN, Judgement, worst
from robot_bridge.machine.memory import MemoryWatch
from robot_bridge.machine.periodicity import PeriodicityConfig, judged
from robot_bridge.machine.slowness import Slowness


class MachineWatch:
    """Looks once a second.

    Args:
        loop: the control loop.
        periodicity: thresholds for its period.
        memory_limit: largest resident memory of this process [MiB]; 0 for no limit.
        realtime: function that gives lines about what the operating system has granted; none if nothing was asked for.
    """

    def __init__(
        self, loop: ControlLoop, periodicity: PeriodicityConfig, memory_limit: float, realtime: Callable[[], Iterable[str]]
    ) -> None:
        self._loop, self._config, self._realtime = loop, periodicity, realtime
        self._group = ControlGroup()
        self._clocks, self._slowness, self._memory = ClockSteps(), Slowness(), MemoryWatch(memory_limit, self._group)

    def look(self) -> dict[str, Judgement]:
        """The judgement of each part, by its name; a look that fails must not keep the other parts of the node silent."""
        try:
            return self._judgements()
        except Exception as error:
            return {"machine": Judgement(WARN, f"cannot be looked at: {type(error).__name__}: {error}")}

    def _judgements(self) -> dict[str, Judgement]:
        statistics = self._loop.statistics
        # the loop's thread appends at the same time, so these are copies
        begins, lateness = statistics.begins.copy(), statistics.lateness.copy()
        return {
            "periodicity": judged(begins, lateness, self._loop.dt, self._config),
            "machine": self._machine(),
            "memory": self._memory.look(),
        }

    def _machine(self) -> Judgement:
        planning = self._loop.planning
        plans, budget, throttled = planning.statistics, planning.budget, self._group.throttled()
        # a plan with fewer candidates takes less time, except for what does not depend on their number
        share = planning.overhead + (1 - planning.overhead) * budget.num_samples / budget.full
        wrong = (
            self._clocks.look(),
            self._slowness.look_at_plan(plans.plans, plans.seconds, share * planning.plan_seconds),
            self._slowness.look_at_group(throttled),
        )
        values = {
            "steps of the wall clock": self._clocks.steps,
            "a plan, compared with configure": self._slowness.ratio,
            "times throttled": "unknown" if throttled is None else throttled,
            "realtime": "; ".join(self._realtime()) or "not asked for",
        }
        return worst({words: WARN for words in wrong if words}, "as at configure", values)
