"""docs/robot_files.md explains every key of a robot's YAML file, and its examples are right."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.spec import ActionChannel, Channel, HealthyRange, RobotSpec
from sim.robot.config import ActionConfig, ObsConfig, RobotConfig
from sim.robot.goals import Goal
from sim.robot.reset import Reset
from sim.robot.sources import Source

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "robot_files.md").read_text(encoding="utf-8")
CLASSES = {
    "Top level": RobotConfig,
    "Observation channels": ObsConfig,
    "Where a number is read": Source,
    "Action channels": ActionConfig,
    "Reward terms": Term,
    "Goals": Goal,
    "Start of an episode": Reset,
    "When an episode ends": HealthyRange,
}
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)
COMPLETE = yaml.safe_load(EXAMPLES[0])


def section(title: str) -> str:
    return re.split(rf"^##+ {title}.*$", PAGE, flags=re.M)[1].split("\n#")[0]


def rows(title: str) -> dict[str, list[str]]:
    """Key and further cells of every row of the table of keys of a section."""
    table = section(title).split("| key | meaning | default | example |\n")[1].split("\n\n")[0]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()[1:]]
    return {key.strip(" `"): [cell.strip() for cell in others] for key, *others in cells}


@pytest.mark.parametrize("title", CLASSES)
def test_the_table_has_every_key_and_no_other(title: str):
    assert set(rows(title)) == {field.name for field in dataclasses.fields(CLASSES[title])}


@pytest.mark.parametrize("title", CLASSES)
def test_a_key_is_required_in_the_table_when_it_is_in_the_file(title: str):
    required = {name for name, (_, default, _) in rows(title).items() if default == "required"}

    fields = dataclasses.fields(CLASSES[title])
    assert required == {f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING}


@pytest.mark.parametrize(("title", "key"), [(title, key) for title in CLASSES for key in rows(title)], ids=str)
def test_the_example_of_a_key_can_be_read(title: str, key: str):
    _, _, example = rows(title)[key]
    content = yaml.safe_load(example.strip("`"))
    whole: dict[type, dict[str, Any]] = {
        RobotConfig: COMPLETE,
        ObsConfig: {"name": "n", "unit": "m", "source": {"qpos": "j"}},
        Source: {},
        ActionConfig: {"name": "n"},
        Term: {"kind": "distance", "channels": ["a", "b"]},
        Goal: {"names": ["a", "b"], "kind": "uniform", "low": [0.0, 0.0], "high": [1.0, 1.0]},
        Reset: {},
        HealthyRange: {"name": "n", "low": 0.0},
    }
    cls = CLASSES[title]
    if cls is Source:
        content = content["source"]

    assert key in content
    from_mapping(cls, whole[cls] | content, source="example")


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_can_be_read_and_its_terms_fit_its_channels(example: str):
    config = from_mapping(RobotConfig, COMPLETE | yaml.safe_load(example), source="example")
    channels = tuple(Channel(c.name, c.unit, c.kind, c.target) for c in config.obs)
    spec = RobotSpec("robot", config.dt, channels, (ActionChannel("a", "1", -1.0, 1.0),), config.healthy)

    Objective(spec, (*config.objective, *config.shaping), config.goal.names if config.goal else ())


@pytest.mark.parametrize(
    ("title", "cls", "field"),
    [
        ("Observation channels", ObsConfig, "kind"),
        ("Observation channels", ObsConfig, "target"),
        ("Where a number is read", Source, "axis"),
        ("Reward terms", Term, "kind"),
        ("Goals", Goal, "kind"),
        ("Start of an episode", Reset, "qpos_distribution"),
        ("Start of an episode", Reset, "qvel_distribution"),
    ],
)
def test_every_choice_is_explained(title: str, cls: type, field: str):
    hint = get_type_hints(cls)[field]
    choices = [c for c in get_args(hint) if isinstance(c, str)] or list(get_args(get_args(hint)[0]))

    assert choices
    assert [choice for choice in choices if f"`{choice}`" not in section(title)] == []


@pytest.mark.parametrize("document", ["README.md", "docs/architecture.md"])
def test_the_page_is_linked(document: str):
    assert "robot_files.md)" in (Path(__file__).resolve().parent.parent / document).read_text(encoding="utf-8")
