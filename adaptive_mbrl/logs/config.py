"""The YAML file that says what the columns of a robot's logs mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from adaptive_mbrl.config import bounded, did_you_mean, load_yaml
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.columns import LogAction, LogChannel, NumberColumn, TimeColumn
from adaptive_mbrl.logs.grid import MAX_HELD_PERIODS
from adaptive_mbrl.logs.tags import TagsConfig
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.spec import ActionChannel, Channel, HealthyRange, RobotSpec


@dataclass(frozen=True)
class LogConfig:
    """A robot, and where its channels stand in its log files.

    Attributes:
        name: name of the robot.
        dt: control period of the episodes [s]; a log may have more or fewer rows.
        obs: observation channels, in the order of an observation array.
        action: action channels, in the order of an action array.
        time: the column of the time stamps; without it, rows are exactly `period` apart.
        period: time between two rows of a log without stamps [s]; dt if not given.
        healthy: the ranges in which the robot is healthy; without any it always is.
        terminate_when_unhealthy: whether an episode ends with the first step after which the robot is not healthy.
        reward: column of the rewards; the value of a row counts for the step that begins there.
        objective: reward terms, which give the rewards instead of a column.
        goal: entries of the goal that terms of `objective` aim at.
        tags: facts about an episode, from columns, from the file's path or for all files.
        situation: names of the tags that together say which episodes have equal dynamics; with none, each episode is a situation
            of its own.
        episode: column whose value changes where a new episode starts.
        ended: column that is true, or a number other than 0, where an episode ended by itself, such as by a crash.
        max_gap: longest time between two values that is bridged [s]; 2.5 dt if not given.
        min_steps: number of control steps below which a stretch is left out.
    """

    name: str
    dt: float
    obs: tuple[LogChannel, ...]
    action: tuple[LogAction, ...]
    time: TimeColumn | None = None
    period: float | None = bounded(None, low=1e-9)
    healthy: tuple[HealthyRange, ...] = ()
    terminate_when_unhealthy: bool = True
    reward: str | None = None
    objective: tuple[Term, ...] = ()
    goal: tuple[NumberColumn, ...] = ()
    tags: TagsConfig = field(default_factory=TagsConfig)
    situation: tuple[str, ...] = ()
    episode: str | None = None
    ended: str | None = None
    max_gap: float | None = bounded(None, low=1e-9)
    min_steps: int = bounded(20, low=1)

    def __post_init__(self) -> None:
        # what the robot's spec and its objective refuse is a mistake in this file
        spec = self.spec
        for i, term in enumerate(self.objective):
            try:
                Objective(spec, (term,), tuple(g.name for g in self.goal))
            except ConfigError as error:
                raise ConfigError(f"key 'objective[{i}]': {error}") from error
        if self.time is not None and self.period is not None:
            raise ConfigError("key 'period': rows that have a time stamp need none; allowed: 'time' or 'period'")
        if self.reward is not None and self.objective:
            raise ConfigError("key 'reward': there is an 'objective', too; allowed: one of them")
        if self.goal and not self.objective:
            raise ConfigError("key 'goal': there is no 'objective' with a term that could aim at it; give one")
        for name in self.situation:
            if name not in self.tags.names:
                raise ConfigError(f"key 'situation': unknown tag '{name}'{self._hint(name)}")

    def _hint(self, name: str) -> str:
        """Where the author of an unknown tag may have mistyped it: in `situation`, or where the tag is named."""
        places = {tag: f"tags.columns[{i}]" for i, tag in enumerate(self.tags.columns)}
        places |= {tag: f"tags.constant.{tag}" for tag in self.tags.constant}
        tags = [f"{tag} (key '{places.get(tag, 'tags.path')}')" for tag in self.tags.names]
        hint = did_you_mean(name, self.tags.names)
        either = "; one of the two keys may have a typo" if hint else ""
        return f"{hint}; tags of this file: {', '.join(tags) or 'none'}{either}"

    @property
    def spec(self) -> RobotSpec:
        """The robot that the logs are of."""
        obs = tuple(Channel(c.name, c.unit, c.kind, c.target) for c in self.obs)
        action = tuple(ActionChannel(a.name, a.unit, a.low, a.high) for a in self.action)
        return RobotSpec(self.name, self.dt, obs, action, self.healthy, self.terminate_when_unhealthy)

    @property
    def reward_function(self) -> Objective | None:
        """What gives the rewards; None without an `objective`."""
        return Objective(self.spec, self.objective, tuple(g.name for g in self.goal)) if self.objective else None

    @property
    def longest_gap(self) -> float:
        """Longest time between two values that is bridged [s]."""
        return MAX_HELD_PERIODS * self.dt if self.max_gap is None else self.max_gap

    @property
    def labels(self) -> tuple[str, ...]:
        """The columns that are constant within an episode."""
        return tuple(dict.fromkeys((*self.tags.columns, *([self.episode] if self.episode else []))))

    @property
    def as_written(self) -> tuple[str, ...]:
        """The columns that may hold words, or numbers whose text matters."""
        return (*self.labels, self.ended) if self.ended else self.labels

    @property
    def numbers(self) -> dict[str, str]:
        """The key of this file that names it, of each column that must hold numbers."""
        found: dict[str, str] = {}
        for key, channels in (("obs", self.obs), ("action", self.action), ("goal", self.goal)):
            for i, channel in enumerate(channels):
                found |= {column: f"{key}[{i}]" for column in channel.columns if column not in found}
        return found | ({self.reward: "reward"} if self.reward else {})

    @property
    def columns(self) -> dict[str, str]:
        """The key of this file that names it, of each column that a log must have."""
        found = {column: f"tags.columns[{i}]" for i, column in enumerate(self.tags.columns)}
        found |= {column: key for key, column in (("episode", self.episode), ("ended", self.ended)) if column}
        return found | ({self.time.column: "time.column"} if self.time else {}) | self.numbers


def load_log_config(path: Path) -> LogConfig:
    """Read the YAML file of a robot's logs."""
    return load_yaml(path, LogConfig)
