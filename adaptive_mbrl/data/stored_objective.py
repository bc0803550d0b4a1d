"""What a robot's recordings were rewarded for, beside its episodes: `objective.yaml` in the folder of a store.

A training without a simulator has no robot's file that could say it. So whoever makes a store and knows the objective writes it
there once, and a checkpoint that is trained on the store can control the robot.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.spec import RobotSpec

OBJECTIVE_FILE = "objective.yaml"


@dataclass(frozen=True)
class StoredObjective:
    """The content of the file.

    Attributes:
        terms: reward terms.
        goal_names: entries of the goal that terms aim at.
    """

    terms: tuple[Term, ...]
    goal_names: tuple[str, ...] = ()


def save_objective(folder: Path, objective: Objective) -> None:
    """Write the objective of a store, unless it has one or there are no terms."""
    if objective.terms and not (folder / OBJECTIVE_FILE).exists():
        save_yaml(folder / OBJECTIVE_FILE, StoredObjective(objective.terms, objective.goal_names))


def load_objective(folder: Path, spec: RobotSpec) -> Objective | None:
    """The objective of a store; None if it has none.

    Raises:
        ConfigError: the file is not what it should be.
    """
    path = folder / OBJECTIVE_FILE
    if not path.is_file():
        return None
    stored = load_yaml(path, StoredObjective)
    try:
        return Objective(spec, stored.terms, stored.goal_names)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
