"""The YAML loader: every mistake in a file is a one-line error that names the file, the key and what is allowed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_mbrl.config import bounded, from_mapping, load_yaml, read_mapping, save_yaml, to_mapping
from adaptive_mbrl.errors import ConfigError


@dataclass(frozen=True)
class Optimizer:
    learning_rate: float = bounded(1e-3, low=0.0, high=1.0)
    steps: int = bounded(10, low=1)
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass(frozen=True)
class Change:
    at: int
    body_mass: float | Mapping[str, float] = 1.0

    def __post_init__(self) -> None:
        if self.at < 0:
            raise ConfigError(f"at: {self.at} is before the first step")


@dataclass(frozen=True)
class Run:
    name: str
    optimizer: Optimizer = field(default_factory=Optimizer)
    rule: Literal["none", "gradient", "recurrent"] = "none"
    hidden: tuple[int, ...] = (32, 32)
    changes: tuple[Change, ...] = ()
    scales: Mapping[str, float] = field(default_factory=dict)
    limit: float | None = None
    first_order: bool = False
    folder: Path = Path("runs")
    weights: tuple[float, ...] = bounded((), low=0.0)
    floor: float = bounded(0.0, low=-math.inf, high=0.0)


def load(values: Any) -> Run:
    return from_mapping(Run, values, source="run.yaml")


def message(values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(values)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_defaults_and_given_values():
    run = load({"name": "a", "hidden": [64], "optimizer": {"steps": 3}, "folder": "x/y"})

    assert run == Run("a", hidden=(64,), optimizer=Optimizer(steps=3), folder=Path("x/y"))


def test_what_was_read_is_its_readers_own_and_a_changed_file_is_read_anew(tmp_path: Path):
    path = tmp_path / "run.yaml"
    path.write_text("a: {b: [1]}\n")
    read_mapping(path)["a"]["b"].append(2)

    assert read_mapping(path) == {"a": {"b": [1]}}
    path.write_text("a: 3\n")
    assert read_mapping(path) == {"a": 3}


def test_unknown_key_names_the_likely_and_all_allowed_keys():
    text = message({"name": "a", "hiden": [3]})

    assert text.startswith("run.yaml: unknown key 'hiden' (did you mean 'hidden'?); allowed keys: name, optimizer, rule, hidden,")


def test_unknown_key_far_from_all_others_gets_no_hint():
    assert message({"name": "a", "zzz": 1}).startswith("run.yaml: unknown key 'zzz'; allowed keys: ")


def test_unknown_key_that_is_no_text():
    assert "unknown key '3'" in message({"name": "a", 3: 1})


def test_missing_key():
    assert message({}) == "run.yaml: missing key 'name'"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"optimizer": {"stepz": 1}}, "unknown key 'optimizer.stepz' (did you mean 'steps'?)"),
        ({"optimizer": {"steps": "many"}}, "key 'optimizer.steps': expected a whole number, got 'many'"),
        ({"changes": [{"at": 0}, {"at": 0.5}]}, "key 'changes[1].at': expected a whole number, got 0.5"),
        ({"changes": [{"at": 1}, {}]}, "missing key 'changes[1].at'"),
        ({"scales": {"torso": "heavy"}}, "key 'scales.torso': expected a number, got 'heavy'"),
        ({"optimizer": {"betas": [0.9, "x"]}}, "key 'optimizer.betas[1]': expected a number, got 'x'"),
        ({"changes": [{"at": -1}]}, "key 'changes[0]': at: -1 is before the first step"),
    ],
)
def test_message_names_the_nested_key(values: dict[str, Any], expected: str):
    assert expected in message({"name": "a"} | values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"name": 3}, "key 'name': expected a text, got 3"),
        ({"first_order": 1}, "key 'first_order': expected true or false, got 1"),
        ({"first_order": "yes"}, "key 'first_order': expected true or false, got 'yes'"),
        ({"optimizer": {"steps": True}}, "expected a whole number, got True"),
        ({"optimizer": {"steps": 2.0}}, "expected a whole number, got 2.0"),
        ({"optimizer": {"learning_rate": False}}, "expected a number, got False"),
        ({"optimizer": {"learning_rate": math.nan}}, "expected a finite number, got nan"),
        ({"optimizer": {"learning_rate": "inf"}}, "expected a finite number, got inf"),
        ({"optimizer": {"learning_rate": 10**400}}, "expected a finite number, got 1000"),
        ({"optimizer": None}, "key 'optimizer': expected a mapping, got None"),
        ({"optimizer": [1]}, "key 'optimizer': expected a mapping, got [1]"),
        ({"hidden": 3}, "key 'hidden': expected a list, got 3"),
        ({"hidden": "33"}, "key 'hidden': expected a list, got '33'"),
        ({"optimizer": {"betas": [0.9]}}, "key 'optimizer.betas': expected 2 values, got 1"),
        ({"scales": [1]}, "key 'scales': expected a mapping, got [1]"),
        ({"folder": 3}, "key 'folder': expected a path, got 3"),
    ],
)
def test_wrong_type(values: dict[str, Any], expected: str):
    assert expected in message({"name": "a"} | values)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"optimizer": {"learning_rate": 1.5}}, "key 'optimizer.learning_rate': 1.5 is out of range; allowed: 0 to 1"),
        ({"optimizer": {"steps": 0}}, "key 'optimizer.steps': 0 is out of range; allowed: at least 1"),
        ({"weights": [1.0, -0.5]}, "key 'weights': -0.5 is out of range; allowed: at least 0"),
        ({"floor": 0.5}, "key 'floor': 0.5 is out of range; allowed: at most 0"),
    ],
)
def test_out_of_range(values: dict[str, Any], expected: str):
    assert message({"name": "a"} | values) == f"run.yaml: {expected}"


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_ends_of_a_range_are_allowed(value: float):
    assert load({"name": "a", "optimizer": {"learning_rate": value}}).optimizer.learning_rate == value


@dataclass(frozen=True)
class Compiled:
    compile: Literal["auto", "off"] = "auto"
    light: Literal["on", "dim"] = "dim"


def test_on_and_off_are_words_where_they_are_choices(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("compile: off\nlight: on\n")
    (tmp_path / "b.yaml").write_text("light: off\n")

    assert load_yaml(tmp_path / "a.yaml", Compiled) == Compiled("off", "on")
    with pytest.raises(ConfigError, match=r"key 'light': got False; allowed: on, dim"):
        load_yaml(tmp_path / "b.yaml", Compiled)


def test_literal_lists_the_choices():
    text = message({"name": "a", "rule": "gradiant"})

    assert text == "run.yaml: key 'rule': got 'gradiant' (did you mean 'gradient'?); allowed: none, gradient, recurrent"


@pytest.mark.parametrize(("value", "expected"), [(2, 2.0), ({"torso": 2}, {"torso": 2.0})])
def test_union_takes_each_alternative(value: Any, expected: Any):
    assert load({"name": "a", "changes": [{"at": 0, "body_mass": value}]}).changes[0].body_mass == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("heavy", "key 'changes[0].body_mass': expected a number, got 'heavy'"),
        ({"torso": "x"}, "key 'changes[0].body_mass.torso': expected a number"),
    ],
)
def test_union_error_is_about_the_alternative_that_was_meant(value: Any, expected: str):
    assert expected in message({"name": "a", "changes": [{"at": 0, "body_mass": value}]})


def test_optional_takes_null_and_a_value_and_nothing_else():
    assert load({"name": "a", "limit": None}).limit is None
    assert load({"name": "a", "limit": 3}).limit == 3.0
    assert "key 'limit': expected a number, got []" in message({"name": "a", "limit": []})


def test_whole_numbers_and_exponents_without_a_dot_are_numbers(tmp_path: Path):
    path = tmp_path / "run.yaml"
    path.write_text("name: a\noptimizer: {learning_rate: 1e-3}\nlimit: 2\n")

    run = load_yaml(path, Run)

    assert run.optimizer.learning_rate == 1e-3
    assert isinstance(run.limit, float)


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words\n", "3\n"])
def test_a_file_that_is_no_mapping(tmp_path: Path, text: str):
    path = tmp_path / "run.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=r"run\.yaml: expected a mapping of keys to values, (got|it is empty)"):
        load_yaml(path, Run)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: a\nhidden: [1, 2\nlimit: 3\n", "run.yaml, line 3: not valid YAML: "),
        ("name: a\n\thidden: 3\n", "run.yaml, line 2: not valid YAML: "),
        ("name: a\nlimit: 1\nlimit: 2\n", "run.yaml, line 3: not valid YAML: key 'limit' stands there twice"),
        ("name: a\nlimit: 2024-13-45\n", "run.yaml: not valid YAML: "),
        ("[" * 5000, "run.yaml: not valid YAML: "),
    ],
)
def test_broken_yaml_names_the_line(tmp_path: Path, text: str, expected: str):
    path = tmp_path / "run.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError) as caught:
        load_yaml(path, Run)

    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_merge_key_may_be_overridden(tmp_path: Path):
    path = tmp_path / "run.yaml"
    path.write_text("base: &base {at: 1, body_mass: 2}\nchange: {<<: *base, body_mass: 3}\n")

    assert read_mapping(path)["change"] == {"at": 1, "body_mass": 3}


def test_yaml_never_runs_code(tmp_path: Path):
    path, touched = tmp_path / "run.yaml", tmp_path / "touched"
    path.write_text(f"name: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{touched}]]\n")

    with pytest.raises(ConfigError, match=r"run\.yaml, line 1: not valid YAML"):
        load_yaml(path, Run)

    assert not touched.exists()


def test_missing_folder_and_binary_files(tmp_path: Path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")

    for name, expected in [("none.yaml", "No such file"), (".", "Is a directory"), ("binary.yaml", "not UTF-8")]:
        with pytest.raises(ConfigError, match=expected):
            load_yaml(tmp_path / name, Run)


numbers = st.floats(allow_nan=False, allow_infinity=False)
runs = st.builds(
    Run,
    name=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    optimizer=st.builds(
        Optimizer, learning_rate=st.floats(0.0, 1.0), steps=st.integers(1, 2**70), betas=st.tuples(numbers, numbers)
    ),
    rule=st.sampled_from(["none", "gradient", "recurrent"]),
    hidden=st.lists(st.integers()).map(tuple),
    changes=st.lists(
        st.builds(Change, at=st.integers(0), body_mass=numbers | st.dictionaries(st.text("abc_", min_size=1), numbers))
    ).map(tuple),
    scales=st.dictionaries(st.text("xyz:0. -#", min_size=1), numbers),
    limit=st.none() | numbers,
    first_order=st.booleans(),
    folder=st.text("ab/.", min_size=1).map(Path),
    weights=st.lists(st.floats(0.0, 1e300)).map(tuple),
    floor=st.floats(-1e300, 0.0),
)


@given(run=runs)
def test_what_is_saved_is_read_back_equal(tmp_path_factory: pytest.TempPathFactory, run: Run):
    path = tmp_path_factory.mktemp("config") / "run.yaml"

    save_yaml(path, run)

    assert load_yaml(path, Run) == run


def test_to_mapping_is_plain():
    plain = to_mapping(Run("a", changes=(Change(3),)))

    assert plain["changes"] == [{"at": 3, "body_mass": 1.0}]
    assert plain["folder"] == "runs"
    assert not any(dataclasses.is_dataclass(v) for v in plain.values())
