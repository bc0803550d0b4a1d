"""Configuration of what a plan may lead to, checked before it is sent: the `plan_limits` part of a bridge YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from adaptive_mbrl.config import bounded
from adaptive_mbrl.errors import ConfigError
from robot_bridge.safety.config import Range


@dataclass(frozen=True)
class PointLimits:
    """Where a point of the robot may be, in the axes of the MJCF's world.

    Attributes:
        x: allowed range [m]; any by default.
        y: allowed range [m]; any by default.
        z: allowed range [m]; any by default.
    """

    x: Range | None = None
    y: Range | None = None
    z: Range | None = None

    def __post_init__(self) -> None:
        if self.x is None and self.y is None and self.z is None:
            raise ConfigError("no axis is given; allowed: {low: , high: } for x, y or z")


@dataclass(frozen=True)
class BoxConfig:
    """An obstacle that the MJCF does not have: a box along the axes of its world.

    Attributes:
        low: its corner with the smallest x, y and z [m].
        high: its corner with the largest x, y and z [m].
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        for key in ("low", "high"):
            if len(getattr(self, key)) != 3:
                raise ConfigError(f"key '{key}': {len(getattr(self, key))} numbers; allowed: x, y, z")
        if not all(low < high for low, high in zip(self.low, self.high, strict=True)):
            raise ConfigError(f"key 'low': got {list(self.low)}; allowed: below 'high', {list(self.high)}, in x, y and z")


@dataclass(frozen=True)
class DistanceConfig:
    """Two parts that must stay apart by more than others.

    Attributes:
        between: names of two geoms of the MJCF, or of `boxes`; a geom without a name is named after its body, and then all geoms
            of that name are meant.
        low: smallest allowed distance [m].
    """

    between: tuple[str, ...]
    low: float = bounded(low=0.0, high=100.0)

    def __post_init__(self) -> None:
        if len(self.between) != 2:
            raise ConfigError(f"key 'between': {len(self.between)} names; allowed: two")


@dataclass(frozen=True)
class CollisionConfig:
    """What may not touch.

    Attributes:
        self_collision: whether the robot's own parts may not touch each other, except neighbours and those that are within the
            clearance in its initial state.
        obstacles: geoms of the MJCF that stand still and that the robot may not touch, for example a table.
        boxes: further obstacles, by a name of their own.
        clearance: smallest allowed distance between what may not touch [m].
        allowed: pairs that may touch all the same, each as two names of geoms.
        distances: distances of their own for pairs, by a name of their own.
    """

    self_collision: bool = True
    obstacles: tuple[str, ...] = ()
    boxes: Mapping[str, BoxConfig] = field(default_factory=dict)
    clearance: float = bounded(0.0, low=0.0, high=10.0)
    allowed: tuple[tuple[str, ...], ...] = ()
    distances: Mapping[str, DistanceConfig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for pair in self.allowed:
            if len(pair) != 2:
                raise ConfigError(f"key 'allowed': {len(pair)} names in {list(pair)}; allowed: pairs of names")
        if not (self.self_collision or self.obstacles or self.boxes or self.distances):
            raise ConfigError("key 'collision': nothing is looked at; allowed: self_collision, obstacles, boxes, distances")


@dataclass(frozen=True)
class PlanLimitsConfig:
    """Where a plan may lead, as the adapted model predicts it.

    Attributes:
        seconds: how far along the plan is looked [s]; at most to the planner's horizon.
        workspace: allowed ranges of observation channels, for angles within -pi to pi; a plan that leaves one is a fault of the
            kind plan_leaves_workspace.
        points: allowed places of sites or bodies of the robot's MJCF, by name; leaving them is a fault of the same kind.
        margin: share of each of these ranges that is kept free at either end.
        collision: what may not touch; a plan that lets it touch is a fault of the kind plan_collides.
        robot: the robot's file, whose MJCF `points` and `collision` need: a shipped name or a path; by default the shipped robot
            with the name of the checkpoint's robot.
        every: look at every how many-th predicted step for `points` and `collision`, which need MuJoCo.
        max_share: largest share of the model's particles, its ensemble's members, that may predict a violation.
    """

    seconds: float = bounded(0.5, low=1e-3, high=60.0)
    workspace: Mapping[str, Range] = field(default_factory=dict)
    points: Mapping[str, PointLimits] = field(default_factory=dict)
    margin: float = bounded(0.0, low=0.0, high=0.4)
    collision: CollisionConfig | None = None
    robot: str = ""
    every: int = bounded(1, low=1, high=100)
    max_share: float = bounded(0.0, low=0.0, high=0.99)

    def __post_init__(self) -> None:
        if not (self.workspace or self.points or self.collision):
            raise ConfigError("nothing is limited; allowed: workspace, points, collision")

    def steps(self, dt: float) -> int:
        """Number of control periods of `dt` [s] that are looked at."""
        return max(1, round(self.seconds / dt))
