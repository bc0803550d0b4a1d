"""Who has the robot among several sources of commands: always exactly one, and no change of the owner breaks a limit."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adaptive_mbrl.errors import ConfigError
from robot_bridge.ownership.arbiter import Arbiter
from robot_bridge.ownership.config import PLANNER, CommandSource, OwnershipConfig
from robot_bridge.safety.states import State
from robot_bridge.safety.supervisor import SafetySupervisor
from tests.bridge.test_supervisor import CONFIG, DT, HIGH, LOW, PLAN, RATE, SPEC, fresh

SOURCES = {"teleop": CommandSource("/teleop", 100, 0.12), "spare": CommandSource("/spare", 10, 0.12)}
RAMP = 0.2
NOTHING = np.zeros(2)
TELEOP, SPARE = np.array([-1.0, 1.0]), np.array([0.3, 0.3])


def arbiter() -> Arbiter:
    return Arbiter(SOURCES, 50, 2, RAMP)


# --- what holds for every stream ----------------------------------------------------------------------------------------------

anything = st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=3)
sensible = st.lists(st.floats(-3, 3), min_size=2, max_size=2)
steps = st.fixed_dictionaries(
    {
        "clock": st.one_of(st.just(DT), st.floats(0, 0.2), st.sampled_from([0.0, -0.01, -100.0, 1000.0])),
        "teleop": st.one_of(st.none(), sensible, anything),
        "spare": st.one_of(st.none(), sensible),
        "plan": st.one_of(st.none(), sensible, sensible, sensible),
        "fault": st.sampled_from([False] * 9 + [True]),
    }
)
CALM = {"clock": DT, "teleop": None, "spare": None, "plan": [1.0, 0.5], "fault": False}


@given(stream=st.lists(steps, max_size=60))
@example(stream=[*[CALM] * 10, *[CALM | {"teleop": [-3.0, 3.0]}] * 10, *[CALM] * 10])
@example(stream=[*[CALM | {"plan": None, "spare": [2.0, 2.0]}] * 10, *[CALM] * 10])
@settings(max_examples=400, deadline=None)
def test_in_every_sequence_exactly_one_has_the_robot_and_commands_keep_their_limits(stream: list[dict[str, Any]]):
    chooser, guard = arbiter(), SafetySupervisor(SPEC, CONFIG)
    guard.activate(0.0)
    now, previous, heard = 0.0, NOTHING, dict.fromkeys(SOURCES, -math.inf)
    for step in stream:
        passed, now = step["clock"], now + step["clock"]
        for name in SOURCES:
            if step[name] is not None:
                chooser.hear(name, np.array(step[name]), now)
                is_command = len(step[name]) == 2 and np.isfinite(step[name]).all()
                heard[name] = now if is_command else heard[name]
        plan = None if step["plan"] is None else np.array(step["plan"])

        choice = chooser.choose(now, plan, guard.sent)

        speaking = [name for name, at in heard.items() if 0 <= now - at <= SOURCES[name].timeout]
        # the planner is between the two others, and has the robot as well where nobody says anything
        expected = "teleop" if "teleop" in speaking else PLANNER if plan is not None or not speaking else "spare"
        assert choice.owner == chooser.owner == expected
        decision = guard.decide(now, fresh(now, np.full(3, 9.0 if step["fault"] else 0.1)), choice.action)
        command = decision.command
        assert command is not None
        assert ((command >= LOW) & (command <= HIGH)).all()
        assert (np.abs(command - previous) <= RATE * min(max(passed, 0.0), DT) + 1e-9).all()
        if step["fault"]:
            assert decision.state is State.HOLD
        previous = command


# --- owners -------------------------------------------------------------------------------------------------------------------


def test_the_highest_priority_that_is_not_silent_has_the_robot():
    chooser = arbiter()
    assert chooser.choose(0.0, PLAN, NOTHING).owner == PLANNER

    chooser.hear("spare", SPARE, 0.0)
    assert chooser.choose(0.0, PLAN, NOTHING).owner == PLANNER
    chooser.hear("teleop", TELEOP, 0.0)
    np.testing.assert_array_equal(chooser.choose(0.1, PLAN, NOTHING).action, TELEOP)

    # silent for longer than the timeout
    assert chooser.choose(0.13, PLAN, NOTHING).owner == PLANNER
    assert chooser.changes == 2


def test_a_planner_without_a_plan_leaves_the_robot_to_the_next_one():
    chooser = arbiter()
    chooser.hear("spare", SPARE, 0.0)

    np.testing.assert_array_equal(chooser.choose(0.0, None, NOTHING).action, SPARE)
    assert chooser.choose(1.0, None, NOTHING) == (PLANNER, None)


def test_the_planner_gets_the_robot_back_by_a_ramp_from_the_last_command():
    chooser = arbiter()
    chooser.choose(0.0, PLAN, NOTHING)
    chooser.hear("teleop", TELEOP, 0.0)
    chooser.choose(0.05, PLAN, NOTHING)

    back = [chooser.choose(0.2 + DT * i, PLAN, TELEOP).action for i in range(6)]

    for i, action in enumerate(back):
        np.testing.assert_allclose(action, TELEOP + min(1.0, i * DT / RAMP) * (PLAN - TELEOP), atol=1e-12)


def test_a_command_that_is_none_is_counted_and_does_not_count_as_said():
    chooser = arbiter()
    for command in ([1.0], [np.nan, 0.0], [np.inf, 0.0], []):
        chooser.hear("teleop", np.array(command), 0.0)

    assert chooser.refused == {"teleop": 4, "spare": 0}
    assert chooser.choose(0.0, PLAN, NOTHING).owner == PLANNER


def test_a_start_is_no_change_of_the_owner():
    chooser = arbiter()
    chooser.hear("teleop", TELEOP, 0.0)
    chooser.choose(0.0, PLAN, NOTHING)
    chooser.forget()

    np.testing.assert_array_equal(chooser.choose(1.0, PLAN, TELEOP).action, PLAN)


# --- configuration ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": {}}, r"key 'sources': missing with mode 'priority'"),
        ({"mode": "refuse"}, r"key 'sources': got some with mode 'refuse'; allowed with mode 'priority' only"),
        ({"sources": {"planner": SOURCES["teleop"]}}, r"key 'sources.planner': the name of the bridge's own planner"),
        ({"priority": 100}, r"key 'sources.teleop.priority': 100 is that of 'planner'; allowed: one of its own"),
    ],
)
def test_sources_that_make_no_sense_are_refused(changes: dict[str, Any], message: str):
    config = {"mode": "priority", "sources": SOURCES} | changes
    with pytest.raises(ConfigError, match=message):
        OwnershipConfig(**config)


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("/commands", r"ownership.sources.teleop.topic': '/commands' is that of 'output.topic'"),
        ("/spare", r"ownership.sources.spare.topic': '/spare' is that of 'ownership.sources.teleop'"),
    ],
)
def test_each_source_has_a_topic_of_its_own(topic: str, message: str):
    sources = SOURCES | {"teleop": dataclasses.replace(SOURCES["teleop"], topic=topic)}
    with pytest.raises(ConfigError, match=message):
        OwnershipConfig(mode="priority", sources=sources).require_topics("/commands", {})


def test_a_command_that_comes_while_the_period_begins_is_none_of_the_future():
    chooser = arbiter()
    chooser.hear("teleop", TELEOP, 1.0 + 5e-6)
    assert chooser.choose(1.0, NOTHING, NOTHING).owner == "teleop"

    chooser.hear("teleop", TELEOP, 5.0)
    assert chooser.choose(1.1, NOTHING, NOTHING).owner == PLANNER
