"""The faults that are injected, with what the node says of each and how soon the plan must not be followed any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tests.bridge.faults import Times, node_fault, sensor_fault
from tests.cartpole_bridge import CARTPOLE

MAX_AGE, MAX_MISSED, FROZEN_STEPS = 0.15, 3, 10
STANDING, STEERED, MOVING = "standing", "steered", "moving"
BRIDGE = f"""{CARTPOLE.format(checkpoint="CHECKPOINT")}operator: {{topic: /operator, max_age: MAX_AGE}}
safety:
  rate_limits: {{slide: 40.0}}
  obs_limits: {{cart_position: {{low: -2.2, high: 2.2}}}}
  max_age: MAX_AGE
  max_missed_deadlines: MAX_MISSED
  ramp_seconds: 0.05
  recovery_seconds: 0.1
"""
OF_MODEL = """
  frozen_steps: FROZEN_STEPS
  max_jump: MAX_JUMP
  max_drift: MAX_DRIFT
  derivatives: {pole_angle: {velocity: pole_velocity, tolerance: TOLERANCE}}
  reactions: {drift: {action: zero}}
"""
"""What is added for a robot that moves; a robot that stands still is one that the model cannot explain."""
OF_GOALS = """  frozen_steps: 0
goal: {topic: /goal, type: geometry_msgs/msg/Twist, fields: [linear.x], initial: [0.0], max_age: MAX_AGE}
"""
"""What is added for a robot that stands still and is steered by a stream of goals."""
OF_ROBOT = {STANDING: "  frozen_steps: 0\n", STEERED: OF_GOALS, MOVING: OF_MODEL}
Where = Literal["sensor", "node", "operator", "goal", "lie"]


@dataclass(frozen=True)
class Fault:
    """A fault of the system.

    Attributes:
        robot: the robot that it is injected into, `standing`, `steered` or `moving`.
        where: what fails.
        words: what the node says, one of these.
        periods: control periods from the moment after which the plan must not be followed in which the safe action must come. A
            fault that only shows in how observations change takes as many more as its check looks at.
        needs_motion: whether it only shows while the robot moves.
    """

    robot: str
    where: Where
    words: tuple[str, ...]
    periods: int = 1
    needs_motion: bool = False


DERIVATIVE, JUMPED = "more than its velocity says", "jumped by"
STALE = (f"s old, allowed: {MAX_AGE:g} s",)
FAULTS: dict[str, Fault] = {
    "nan": Fault(STANDING, "sensor", ("'cart_position' is not finite",)),
    "no joint": Fault(STANDING, "sensor", STALE),
    "out of limits": Fault(STANDING, "sensor", ("'cart_position' is 50",)),
    "stamps frozen": Fault(STANDING, "sensor", STALE),
    "clock back": Fault(STANDING, "sensor", STALE),
    "publisher killed": Fault(STANDING, "sensor", STALE),
    "planner": Fault(STANDING, "node", ("no plan",)),
    "nan plan": Fault(STANDING, "node", ("finite numbers",)),
    "planner hangs": Fault(STANDING, "node", ("deadlines missed in a row",)),
    "gpu": Fault(STANDING, "node", ("CUDA error",)),
    "control thread": Fault(STANDING, "node", ("the control loop stands still",)),
    "monotonic ahead": Fault(STANDING, "node", ("",)),
    "operator silent": Fault(STANDING, "operator", ("the operator is silent",)),
    "operator away": Fault(STANDING, "operator", ("the operator is not there",)),
    "goals silent": Fault(STEERED, "goal", ("the stream of goals is silent",)),
    "jump": Fault(MOVING, "lie", (JUMPED, DERIVATIVE), 2),
    "frozen": Fault(MOVING, "lie", ("kept its value", JUMPED, DERIVATIVE), FROZEN_STEPS + 3, needs_motion=True),
    "derivative": Fault(MOVING, "lie", (DERIVATIVE, JUMPED), 12, needs_motion=True),
    "drift": Fault(MOVING, "lie", ("drifts by", DERIVATIVE, JUMPED), 60),
}
"""By name. The alarms of actuators are not among them, because they need a checkpoint with a diagnosis."""
MODEL_FAULTS = tuple(name for name, fault in FAULTS.items() if fault.where == "lie")


def bridge_text(robot: str, limits: dict[str, float], checkpoint: str = "cartpole") -> str:
    """The bridge file of a rig.

    Args:
        robot: `standing`, `steered` or `moving`.
        limits: `MAX_JUMP`, `MAX_DRIFT` and `TOLERANCE` of the robot that moves.
        checkpoint: name or folder of the checkpoint; that of a steered robot has one goal.
    """
    text = BRIDGE.replace("CHECKPOINT", checkpoint) + OF_ROBOT[robot]
    known = {"MAX_AGE": MAX_AGE, "MAX_MISSED": MAX_MISSED, "FROZEN_STEPS": FROZEN_STEPS, **limits}
    for key, value in known.items():
        text = text.replace(key, f"{value:g}")
    return text


def times_of(name: str, log: list[list[Any]], told: tuple[float, float], dt: float) -> Times:
    """When a fault began, when the plan had to be left, and when it was over, from the log of the node.

    Args:
        name: the fault.
        log: what passed the node.
        told: when the rig let the fault begin and end, monotonic [s].
        dt: control period [s].
    """
    where = FAULTS[name].where
    if where == "sensor":
        return sensor_fault(log, MAX_AGE)
    if where == "node":
        return node_fault(log, name, dt, MAX_MISSED)
    if where in ("operator", "goal"):
        return _silence(log, where, told[1])
    over = told[1]
    if name == "jump":
        # a value that stays where it has jumped to is believed again: only the first reaction belongs to the jump
        over = next((at + dt / 2 for at, what, about in log if what == "command" and at > told[0] and about == 0.0), over)
    return Times(told[0], told[0], over)


def _silence(log: list[list[Any]], who: str, over: float) -> Times:
    """Who says to be gone is gone at once; who says nothing is gone after `MAX_AGE`."""
    last = max(at for at, what, about in log if what == who and about and at < over)
    gone = [at for at, what, about in log if what == who and not about and last < at < over]
    limit = gone[0] if gone else last + MAX_AGE
    return Times(min(limit, last), limit, over)
