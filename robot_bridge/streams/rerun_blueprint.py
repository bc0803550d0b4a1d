"""How Rerun arranges a robot: the blueprint that goes along with every recording and stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adaptive_mbrl.extras import extra_package
from robot_bridge.streams.rerun_log import entity
from robot_bridge.streams.watched import Watched

if TYPE_CHECKING:
    from rerun.blueprint import Blueprint


def blueprint(watched: Watched) -> Blueprint:
    """Observations by their units and commands on the left; model error, belief, plan and the log on the right.

    Raises:
        ConfigError: the extra `rerun` is not installed.
    """
    rrb = extra_package("rerun.blueprint", "rerun")
    units: dict[str, list[str]] = {}
    for channel in watched.spec.obs:
        units.setdefault(channel.unit, []).append(entity(f"observations/{channel.name}"))
    robot = [_series(rrb, f"observations [{unit}]", paths) for unit, paths in units.items()]
    robot.append(_series(rrb, "commands", [entity(f"commands/{name}") for name in watched.spec.action_names]))
    plan = [
        rrb.BarChartView(origin=entity(f"plan/{name}"), name=f"plan: {name}, by control period")
        for name in watched.spec.action_names
    ]
    model = [
        _series(rrb, "model error [target stds]", ["belief/prior_error", "belief/adapted_error"]),
        *([_diagnosis(rrb, watched)] if watched.diagnosis_names else []),
        rrb.Tabs(*plan, name="plan"),
        rrb.Tabs(
            _series(
                rrb,
                "belief: age [steps], back to the prior, paused, delay [steps], reversed motors",
                ["belief/run_length", "belief/fell_back", "belief/paused", "belief/delay", "belief/reversed"],
            ),
            _series(rrb, "predicted return", ["belief/predicted_return"]),
            _series(rrb, "times to adapt and to plan [s]", ["belief/adapt_seconds", "belief/plan_seconds"]),
        ),
        rrb.TextLogView(origin="/", contents=["state", "reaction", "diagnostics/**"], name="state, reaction and diagnostics"),
    ]
    made: Blueprint = rrb.Blueprint(
        rrb.Horizontal(rrb.Vertical(*robot), rrb.Vertical(*model), column_shares=[3, 2]), collapse_panels=True
    )
    return made


def _diagnosis(rrb: Any, watched: Watched) -> Any:
    """A bar for each physical parameter, and the course of each with its uncertainty."""
    bars = rrb.BarChartView(origin="diagnosis/bars", name=f"physical parameters: {', '.join(watched.diagnosis_names)}")
    courses = [
        _series(rrb, name, [entity(f"diagnosis/{name}/{what}") for what in ("mean", "low", "high")])
        for name in watched.diagnosis_names
    ]
    return rrb.Tabs(bars, *courses, name="physical parameters")


def _series(rrb: Any, name: str, paths: list[str]) -> Any:
    return rrb.TimeSeriesView(origin="/", contents=paths, name=name)
