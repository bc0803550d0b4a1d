"""What is put side by side: runs of `train`, and the arms of reports that `evaluate --json` wrote."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.training.report.history import History, read_history
from adaptive_mbrl.training.run_folder import CONFIG_FILE

_OF_COLLECTIONS = tuple(
    f"data.{name}" for name in ("steps", "random", "oracle", "episodes_per", "action_noise", "branch", "exploration")
)
"""Beginnings of the keys that mean nothing where a training is given its episodes."""


@dataclass(frozen=True)
class Entry:
    """A run, or an arm of an evaluation.

    Attributes:
        name: tells it from the others.
        robot: name of its robot.
        seed: seed of the training; None for an arm.
        settings: the configuration with dots between the names of nested keys; of an arm, its scenario and checkpoint.
        returns: the return of each episode, by what happens in it: of a run the newest episodes that its controller collected.
        history: the run; None for an arm.
        errors: error of the adapted model at each step ahead, by the name of the held-out episode.
    """

    name: str
    robot: str
    seed: int | None
    settings: Mapping[str, Any]
    returns: Mapping[str, float]
    history: History | None = None
    errors: Mapping[str, Sequence[float]] = field(default_factory=dict)


def read_entries(paths: Sequence[Path]) -> list[Entry]:
    """Read all that some paths name: run folders, folders of seeds, report files.

    Raises:
        ConfigError: one of them is nothing that can be compared, or is given twice.
    """
    entries: list[Entry] = []
    folders = [folder for path in paths if path.suffix != ".json" for folder in run_folders(path)]
    for known in (list(paths), folders):
        if twice := next((path for path in known if known.count(path) > 1), None):
            raise ConfigError(f"compare: {twice} is given twice; give it once")
    names = dict(zip(folders, short_names(folders), strict=True))
    reports = [path.stem for path in paths if path.suffix == ".json"]
    for path in paths:
        if path.suffix == ".json":
            entries += _arms(path, path.stem if reports.count(path.stem) == 1 else str(path.with_suffix("")))
        else:
            entries += [_run(folder, names[folder]) for folder in run_folders(path)]
    return entries


def run_folders(path: Path) -> list[Path]:
    """The run in a folder, or the runs of its seeds.

    Raises:
        ConfigError: there are none.
    """
    if (path / CONFIG_FILE).is_file():
        return [path]
    if seeds := sorted(p.parent for p in path.glob(f"seed_*/{CONFIG_FILE}")):
        return seeds
    raise ConfigError(
        f"{path}: nothing to compare is there; allowed: a run folder of 'adaptive-mbrl train' (with its {CONFIG_FILE}), "
        "the folder of 'train --seeds', or a report of 'evaluate --json'"
    )


def short_names(folders: Sequence[Path]) -> list[str]:
    """The paths behind the folder that all have in common; of a single one, its name."""
    paths = [folder.resolve() for folder in folders]
    if len(set(paths)) < 2:
        return [path.name for path in paths]
    common = os.path.commonpath([str(path.parent) for path in paths])
    return [os.path.relpath(path, common) for path in paths]


def flat(values: Mapping[str, Any], key: str = "") -> Iterator[tuple[str, Any]]:
    """A configuration as pairs of a dotted key and a value.

    Where a key takes one of several kinds with its settings, or a list of them, its value is the name of the kind:
    ``adaptation: [{context: {heads: 4}}]`` gives ``adaptation: context`` and ``adaptation.context.heads: 4``.
    """
    for name, value in values.items():
        path = f"{key}.{name}" if key else str(name)
        kinds = value if isinstance(value, list) and value else [value]
        if all(_is_kind(kind) for kind in kinds):
            yield path, ", ".join(tag for kind in kinds for tag in kind)
        for kind in kinds if all(isinstance(kind, Mapping) for kind in kinds) else ():
            yield from flat(kind, path)
        if not any(isinstance(kind, Mapping) for kind in kinds):
            yield path, value


def _is_kind(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and all(isinstance(inner, Mapping) for inner in value.values())


def _run(folder: Path, name: str) -> Entry:
    history = read_history(folder, predicts=True)
    settings = dict(flat(to_mapping(history.config)))
    if history.config.data.episodes_from is not None:
        settings = {key: value for key, value in settings.items() if not key.startswith(_OF_COLLECTIONS)}
    controlled = [c for c in history.collections if c.source == "policy"]
    returns = {}
    if controlled:
        newest = controlled[-1]
        for number, (episode, value) in enumerate(zip(newest.episodes, newest.returns, strict=True)):
            scenario = episode.tags.get("scenario")
            returns[f"{number} of {name}" if scenario is None else _key(scenario)] = float(value)
    found = history.held_out
    errors = {} if found is None else dict(zip(found.episodes, found.adapted, strict=True))
    return Entry(name, history.description.spec.name, int(settings.pop("seed")), settings, returns, history, errors)


def _arms(path: Path, name: str) -> Iterator[Entry]:
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as JSON: {error}") from error
    if not isinstance(report, dict) or not {"arms", "scenarios", "config"} <= report.keys():
        kind = (
            "a benchmark's report, whose report.html compares its arms" if "protocols" in report else "no report of an evaluation"
        )
        raise ConfigError(f"{path}: is {kind}; allowed: a file that 'adaptive-mbrl evaluate --json' wrote")
    keys = [_key({k: v for k, v in scenario.items() if k != "last_change"}) for scenario in report["scenarios"]]
    for arm, content in report["arms"].items():
        settings = {"scenario": report["scenario"], "arm": arm}
        returns = dict(zip(keys, map(float, content["returns"]), strict=True))
        yield Entry(f"{name}: {arm}", report["config"]["robot"], None, settings, returns)


def _key(scenario: Any) -> str:
    return json.dumps(scenario, sort_keys=True)
