"""Flags of the sub-commands that tell what there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError

CatalogName = Literal["robots", "scenarios", "checkpoints", "rules", "planners"]
CatalogNameOrAll = Literal["all", "robots", "scenarios", "checkpoints", "rules", "planners"]
KINDS = ("robot", "scenario", "checkpoint", "rule", "planner")
"""What a thing is called that `show` may show."""


@dataclass(frozen=True)
class CompletionOptions:
    """Print a script by which a shell completes commands, flags and the names of what is shipped.

    For bash, the line `source <(adaptive-mbrl completion bash)` in ~/.bashrc is enough. tcsh needs the extra packages of
    'adaptive-mbrl[tcsh]'.

    Example: adaptive-mbrl completion bash

    Attributes:
        shell: the shell that is to complete.
    """

    shell: Positional[Literal["bash", "zsh", "fish", "tcsh"]]


@dataclass(frozen=True)
class ListOptions:
    """List the robots, scenarios, checkpoints, adaptation rules and planners that there are.

    Checkpoints are the shipped ones and those of the trainings in the folder runs.

    Example: adaptive-mbrl list robots

    Attributes:
        what: what is listed; all gives the names of everything.
        json: print JSON, for scripts.
    """

    what: Positional[CatalogNameOrAll] = "all"
    json: bool = False


@dataclass(frozen=True)
class ShowOptions:
    """Show one thing: a robot's channels, what a scenario or split draws, a checkpoint's card, the settings of a rule or planner.

    Where a robot and a checkpoint have the same name, the kind comes first, as in `show robot cartpole`.

    Example: adaptive-mbrl show half_cheetah/cadm_cripple

    Attributes:
        name: a name that `list` gives, a robot's or scenario's YAML file, a folder of a checkpoint, or a run; before it may stand
            what it is: robot, scenario, checkpoint, rule or planner.
        json: print JSON, for scripts.
    """

    name: Positional[Annotated[tuple[str, ...], arg(metavar="[KIND] NAME", help_behavior_hint="")]]
    json: bool = False

    def __post_init__(self) -> None:
        if len(self.name) not in (1, 2):
            raise ConfigError(f"show: got {len(self.name)} names; allowed: one name, or what it is and its name")
        if len(self.name) == 1 and self.name[0] in KINDS:
            raise ConfigError(f"show: which {self.name[0]}? 'adaptive-mbrl list {self.name[0]}s' gives the names")
        if len(self.name) == 2 and self.name[0] not in KINDS:
            raise ConfigError(
                f"show: unknown kind '{self.name[0]}'{did_you_mean(self.name[0], KINDS)}; allowed: {', '.join(KINDS)}"
            )

    @property
    def kind(self) -> str | None:
        """What is shown; None if its name tells it."""
        return self.name[0] if len(self.name) == 2 else None

    @property
    def wanted(self) -> str:
        """The name of what is shown."""
        return self.name[-1]
