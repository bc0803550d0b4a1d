"""JSON Schemas of the YAML files: they are current, take every shipped file, and refuse what the loaders refuse."""

from __future__ import annotations

import re
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from adaptive_mbrl.file_kinds import FILE_KINDS, FileKind
from adaptive_mbrl.options.files import KindName
from adaptive_mbrl.schema import Record, Shape, default_in_words, records_of, type_in_words
from adaptive_mbrl.schema.shapes import inner_shapes
from adaptive_mbrl.schema_files import schema_text
from sim.paths import config_root

ROOT = Path(__file__).resolve().parent.parent
BY_NAME = {kind.name: kind for kind in FILE_KINDS}
EXAMPLES = {
    "examples/walker/walker.yaml": "robot",
    "examples/walker/changes.yaml": "split",
    "examples/walker/train.yaml": "train",
    "examples/walker/train_multitask.yaml": "train",
    "examples/logs/logs.yaml": "logs",
    "examples/logs/bag.yaml": "logs",
    "examples/logs/train.yaml": "train",
    "examples/sweep/space.yaml": "sweep",
    "examples/go2/robot.yaml": "robot",
    "examples/go2/split.yaml": "split",
    "examples/go2/train.yaml": "train",
    "examples/go2/bridge.yaml": "bridge",
    "examples/ur5e/robot.yaml": "robot",
    "examples/ur5e/split.yaml": "split",
    "examples/ur5e/train.yaml": "train",
    "examples/ur5e/bridge.yaml": "bridge",
    "examples/lerobot/robot.yaml": "robot",
    "examples/lerobot/split.yaml": "split",
    "examples/lerobot/train.yaml": "train",
    "examples/lerobot/bridge.yaml": "bridge",
    "examples/ros2_control/robot_side.yaml": "bridge",
}
all_kinds = pytest.mark.parametrize("kind", FILE_KINDS, ids=lambda kind: kind.name)


class EditorsLoader(yaml.SafeLoader):
    """Reads numbers as YAML 1.2 does, and with it editors: there, 1e-3 is a number."""


EditorsLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)


def content_of(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), EditorsLoader)


def files_of(kind: FileKind) -> list[Path]:
    found = sorted((config_root() / kind.folder).rglob("*.yaml")) if kind.folder else []
    if kind.folder == "scenarios":
        found = [path for path in found if ("changes" in content_of(path)) == (kind.name == "scenario")]
    return found + [ROOT / name for name, of in EXAMPLES.items() if of == kind.name]


@all_kinds
def test_the_shipped_schema_is_current(kind: FileKind):
    Draft202012Validator.check_schema(kind.json_schema())
    assert (config_root() / "schemas" / f"{kind.name}.json").read_text(encoding="utf-8") == schema_text(kind), (
        "run: adaptive-mbrl schema all --out configs/schemas"
    )


def test_the_command_knows_every_kind_and_no_other_schema_is_shipped():
    assert list(typing.get_args(KindName)) == list(BY_NAME)
    assert {path.stem for path in (config_root() / "schemas").iterdir()} == set(BY_NAME)


@all_kinds
def test_every_key_is_documented_and_no_two_records_share_a_name(kind: FileKind):
    by_name: dict[str, Record] = {}
    waiting: list[Shape] = [kind.describe()]
    while waiting:
        shape = waiting.pop()
        waiting += inner_shapes(shape)
        if isinstance(shape, Record):
            assert shape.summary, shape.name
            assert by_name.setdefault(shape.name, shape) == shape
            for key in shape.keys:
                assert key.documentation.endswith((".", ")")) or key.documentation, f"{shape.name}.{key.name}"


@all_kinds
def test_every_shipped_file_is_valid(kind: FileKind):
    validator = Draft202012Validator(kind.json_schema())
    problems = {
        path.name: [f"{list(error.absolute_path)}: {error.message}" for error in validator.iter_errors(content_of(path))]
        for path in files_of(kind)
    }

    assert problems or kind.name in ("dataset", "environment")
    assert {name: found for name, found in problems.items() if found} == {}


@pytest.mark.parametrize(
    ("kind", "record", "key", "words", "default"),
    [
        ("train", "training", "seed", "a whole number, 0 to 2147483647", "0"),
        ("train", "training", "scenarios", "a text, or null", "null"),
        ("train", "training", "planner", "one kind of `icem`, `cem`, `mppi`, `random_shooting`, `gradient`", "icem"),
        ("train", "training", "model", "a mapping (Model)", "{}"),
        ("train", "Model", "hidden", "a list of whole numbers, each at least 1", "[200, 200, 200, 200]"),
        ("train", "Model", "activation", "one of `silu`, `relu`, `tanh`", "silu"),
        ("robot", "Reset", "qpos_noise", "a number, or a mapping from names to numbers", "0.0"),
        ("robot", "Goal", "period_s", "a list of 2 numbers, each at least 0.1", "[5.0, 5.0]"),
        ("robot", "robot", "obs", "a list of mappings (Obs)", "required"),
        ("scenario", "ScheduledChange", "gravity", "a number, -10 to 10", "1.0"),
        ("logs", "Tags", "constant", "a mapping from names to entries, each anything", "{}"),
    ],
)
def test_keys_in_words(kind: str, record: str, key: str, words: str, default: str):
    (found,) = (r for r in records_of(BY_NAME[kind].describe()) if r.name == record)
    (wanted,) = (k for k in found.keys if k.name == key)

    assert (type_in_words(wanted.shape), default_in_words(wanted)) == (words, default)


def test_the_rules_of_a_training_may_stand_without_a_list():
    (rules,) = (key for key in BY_NAME["train"].describe().keys if key.name == "adaptation")

    assert type_in_words(rules.shape).endswith("`embedding`, or a list of such entries")
    assert default_in_words(rules) == "[gradient]"
