"""The layout that Foxglove shows a robot in, live or recorded: state, observations, commands, model, diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from adaptive_mbrl.extras import extra_package
from robot_bridge.safety.reactions import REACTIONS, stops
from robot_bridge.safety.states import State
from robot_bridge.streams.foxglove_series import belief_series, command_series, diagnosis_series, observation_series
from robot_bridge.streams.message_paths import JointOrders
from robot_bridge.streams.reactions import CUT_POWER, OUTCOMES
from robot_bridge.streams.readings import MOTOR, MOTOR_RANGE
from robot_bridge.streams.watched import DIAGNOSTICS, Watched

if TYPE_CHECKING:
    from foxglove.layouts import Layout, PlotPanel, SplitContainer

COLORS = {
    State.INACTIVE: "#8a8a8a",
    State.DRY_RUN: "#4c8dd6",
    State.RAMP: "#d6b34c",
    State.RUNNING: "#3fa34d",
    State.HOLD: "#e07b2a",
    State.ESTOP: "#d03030",
}
"""The color of each state of the safety supervisor."""
REACTION_STATES = {"none": State.RUNNING, "warn": State.RAMP, "slow": State.RAMP} | {
    " ".join(filter(None, (rung, outcome))): State.HOLD for rung in REACTIONS if stops(rung) for outcome in OUTCOMES
}
"""For what `~/reaction` says, the state whose color it has."""
Series = Mapping[str, str]
"""Message paths, by the label of their line."""


def foxglove_layout(watched: Watched, orders: JointOrders) -> Layout:
    """The layout of a robot.

    Args:
        watched: the robot and its node.
        orders: the order of the joints in the messages of each topic.

    Raises:
        ConfigError: the extra `foxglove` is not installed.
    """
    fl = extra_package("foxglove.layouts", "foxglove")
    content = _split(
        fl,
        "row",
        [
            (3, _split(fl, "column", [(1, panel) for panel in _robot_panels(fl, watched, orders)])),
            (2, _split(fl, "column", [(3, _model_tabs(fl, watched)), (2, _node_tabs(fl, watched))])),
        ],
    )
    layout: Layout = fl.Layout(content=_split(fl, "column", [(1, _state_panels(fl, watched)), (8, content)]))
    return layout


def _state_panels(fl: Any, watched: Watched) -> SplitContainer:
    path = f"{watched.own_topic('state')}.data"
    rules = [fl.IndicatorRule(operator="=", raw_value=s.value, color=c, label=s.value) for s, c in COLORS.items()]
    now = fl.IndicatorConfig(path=path, style="background", rules=rules, fallback_color="#404040", fallback_label="no state")
    states = [fl.StateTransitionsDiscreteCustomState(value=s.value, label=s.value, color=c) for s, c in COLORS.items()]
    course = fl.StateTransitionsSeries(
        value=path, label="state", enabled=True, custom_states=fl.StateTransitionsDiscreteCustomStates(states=states)
    )
    reaction = fl.StateTransitionsSeries(value=f"{watched.own_topic('reaction')}.data", label="reaction", enabled=True)
    over_time = fl.StateTransitionsConfig(paths=[course, reaction], is_synced=True)
    panels = [
        (1, fl.IndicatorPanel(title="state", config=now)),
        (1, fl.IndicatorPanel(title="reaction to faults", config=_reaction_now(fl, watched))),
        (5, fl.StateTransitionsPanel(title="state and reaction over time", config=over_time)),
    ]
    return _split(fl, "row", panels)


def _reaction_now(fl: Any, watched: Watched) -> Any:
    """What is done about faults, and in which color; a stop that has failed must not look like any other."""
    rules = [fl.IndicatorRule(operator="=", raw_value=text, color=COLORS[s], label=text) for text, s in REACTION_STATES.items()]
    failed = [
        fl.IndicatorRule(operator="=", raw_value=f"{rung} failed", color=COLORS[State.ESTOP], label=f"{rung} failed: {CUT_POWER}")
        for rung in REACTIONS
        if stops(rung)
    ]
    path = f"{watched.own_topic('reaction')}.data"
    return fl.IndicatorConfig(
        path=path, style="background", rules=[*failed, *rules], fallback_color="#404040", fallback_label="no reaction"
    )


def _robot_panels(fl: Any, watched: Watched, orders: JointOrders) -> list[PlotPanel]:
    observations = observation_series(watched, orders)
    plots = [_plot(fl, f"observations [{unit}]", series) for unit, series in observations.items()]
    return [*plots, _plot(fl, "commands", command_series(watched), dashed="(planned)")]


def _model_tabs(fl: Any, watched: Watched) -> Any:
    error = _plot(fl, "model error [target stds]", belief_series(watched, ("prior_error", "adapted_error")))
    tabs: dict[str, Any] = {
        "model error": error,
        "belief": _plot(
            fl,
            "belief: age [steps], back to the prior, paused, delay [steps], reversed motors",
            belief_series(watched, ("run_length", "fell_back", "paused", "delay", "reversed")),
        ),
        "return": _plot(fl, "predicted return", belief_series(watched, ("predicted_return",))),
        "times": _plot(fl, "times to adapt and to plan [s]", belief_series(watched, ("adapt_seconds", "plan_seconds"))),
    }
    if watched.diagnosis_names:
        tabs = {"physical parameters": _diagnosis(fl, watched)} | tabs
    return fl.TabContainer(tabs=[fl.TabItem(title=title, content=content) for title, content in tabs.items()])


def _diagnosis(fl: Any, watched: Watched) -> SplitContainer:
    """A bar for each physical parameter, and means and standard deviations over time."""
    means, stds = diagnosis_series(watched)
    low, high = MOTOR_RANGE
    bars = [
        fl.GaugePanel(
            title=name.removeprefix(MOTOR),
            config=fl.GaugeConfig(
                path=path, style="bar", min_value=low, max_value=high, origin=0.0, tick_interval=0.5, show_ticks=True
            ),
        )
        for name, path in means.items()
        if name.startswith(MOTOR)
    ]
    over_time: list[tuple[float, Any]] = [
        (2, _plot(fl, "physical parameters, mean", means)),
        (1, _plot(fl, "physical parameters, standard deviation", stds)),
    ]
    return _split(fl, "column", [(1, _split(fl, "row", [(1, bar) for bar in bars])), *over_time] if bars else over_time)


def _node_tabs(fl: Any, watched: Watched) -> Any:
    config = fl.DiagnosticsSummaryConfig(topic_to_render=DIAGNOSTICS, sort_by_level=True, seconds_until_stale=3.0)
    detail = fl.DiagnosticsDetailConfig(
        topic_to_render=DIAGNOSTICS, selected_hardware_id=watched.spec.name, selected_name=f"{watched.node}: safety"
    )
    plan = fl.RawMessagesConfig(topic_path=watched.own_topic("plan"))
    tabs = {
        "diagnostics": fl.DiagnosticsSummaryPanel(config=config),
        "safety": fl.DiagnosticsDetailPanel(config=detail),
        "plan": fl.RawMessagesPanel(config=plan),
    }
    return fl.TabContainer(tabs=[fl.TabItem(title=title, content=content) for title, content in tabs.items()])


def _plot(fl: Any, title: str, series: Series, dashed: str = "") -> PlotPanel:
    paths = [
        fl.PlotSeries(
            value=path, label=label, enabled=True, line_style="dashed" if dashed and label.endswith(dashed) else "solid"
        )
        for label, path in series.items()
    ]
    config = fl.PlotConfig(
        paths=paths,
        show_legend=True,
        legend_display="left",
        show_plot_values_in_legend=True,
        show_x_axis_labels=True,
        show_y_axis_labels=True,
        is_synced=True,
        x_axis_val="timestamp",
    )
    panel: PlotPanel = fl.PlotPanel(title=title, config=config)
    return panel


def _split(fl: Any, direction: str, items: Sequence[tuple[float, Any]]) -> SplitContainer:
    made = [fl.SplitItem(proportion=proportion, content=content) for proportion, content in items]
    container: SplitContainer = fl.SplitContainer(direction=direction, items=made)
    return container
