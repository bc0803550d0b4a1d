"""The cards of scenarios and splits: what changes, and what is drawn, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from adaptive_mbrl.config import read_mapping
from sim.catalog.card import Card, Rows
from sim.catalog.entries import leading_comment
from sim.catalog.words import change_in_words, step_in_words, times_in_words
from sim.paths import config_name
from sim.scenarios.distribution import ChangeDistribution, ScenarioDistribution
from sim.scenarios.loading import find_scenario, load_scenario, parts_of
from sim.scenarios.scenario import Scenario


def show_scenario(name: str) -> Card:
    """What happens in a scenario, or what each part of a split draws, with an example.

    Args:
        name: a shipped name or the path of a YAML file; a part of a split may follow after a colon.
    """
    path, part = find_scenario(name)
    shown = config_name("scenarios", path)
    content = read_mapping(path)
    facts = {"file": str(path), "robot": content.get("robot"), "steps": content.get("steps"), "seed": content.get("seed", 0)}
    about = leading_comment(path)
    parts = (part,) if part else parts_of(path)
    if not parts:
        scenario = load_scenario(path)
        assert isinstance(scenario, Scenario)
        return Card("scenario", shown, about, facts, {"What happens": _schedule(scenario)})
    tables: dict[str, Rows] = {}
    for one in parts:
        distribution = load_scenario(f"{path}:{one}")
        assert isinstance(distribution, ScenarioDistribution)
        tables[f"Part {one}: from the first step on"] = _alternatives(distribution.part.initial)
        if distribution.part.change is not None:
            tables[f"Part {one}: {_when(distribution.part.change)}"] = _alternatives(distribution.part.change.alternatives)
        example = distribution.episode(0)
        tables[f"Part {one}: the first episode of an evaluation (seed {example.seed})"] = _schedule(example)
    return Card("split", shown, about, facts, tables)


def _schedule(scenario: Scenario) -> Rows:
    rows = [{"from step": change.at, "change": change_in_words(change.change.to_changes())} for change in scenario.changes]
    return rows or [{"from step": 0, "change": change_in_words({})}]


def _when(change: ChangeDistribution) -> str:
    if change.probability == 1.0:
        return f"{times_in_words(change.times)} {step_in_words(change.at)}"
    return f"with probability {change.probability:g} {times_in_words(change.times)} {step_in_words(change.at)}"


def _alternatives(alternatives: Sequence[Mapping[str, Any]]) -> Rows:
    weights = [float(entry.get("weight", 1.0)) for entry in alternatives]
    return [
        {"share": f"{weight / sum(weights):.0%}", "change": change_in_words({k: v for k, v in entry.items() if k != "weight"})}
        for entry, weight in zip(alternatives, weights, strict=True)
    ]
