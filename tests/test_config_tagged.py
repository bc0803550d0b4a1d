"""Entries that name their kind: one of several dataclasses, by its tag."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptive_mbrl.adaptation import Rules
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.config import bounded, from_mapping, load_yaml, save_yaml, to_mapping
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning import CEMConfig, ICEMConfig, MPPIConfig, PlannerConfig
from tests.core.cart import CONFIGS


@dataclass(frozen=True)
class Settings:
    """As a training file or a checkpoint has them: rules, alone or as a list, and one planner."""

    adaptation: Rules = (GradientConfig(),)
    planner: PlannerConfig = field(default_factory=ICEMConfig)
    fallback: PlannerConfig | None = None


def load(values: Any) -> Settings:
    return from_mapping(Settings, values, source="run.yaml")


def message(values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(values)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("run.yaml: ")
    return text.removeprefix("run.yaml: ")


@pytest.mark.parametrize(
    ("entry", "rules"),
    [
        ("none", (NoneConfig(),)),
        ("gradient", (GradientConfig(),)),
        ({"gradient": None}, (GradientConfig(),)),
        ({"gradient": {}}, (GradientConfig(),)),
        ({"gradient": {"steps": 3, "parameters": "all"}}, (GradientConfig(steps=3, parameters="all"),)),
        ([{"gradient": {"steps": 3}}], (GradientConfig(steps=3),)),
        (["none", {"gradient": {"steps": 3}}, "gradient"], (NoneConfig(), GradientConfig(steps=3), GradientConfig())),
    ],
    ids=str,
)
def test_rules_stand_by_name_with_settings_or_in_a_list(entry: Any, rules: Rules):
    assert load({"adaptation": entry}).adaptation == rules


def test_one_planner_is_named_by_its_kind():
    assert load({"planner": "mppi"}).planner == MPPIConfig()
    assert load({"planner": {"cem": {"num_elites": 5}}}).planner == CEMConfig(num_elites=5)
    assert load({"fallback": None}).fallback is None
    assert load({"fallback": "mppi"}).fallback == MPPIConfig()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"adaptation": "gradiant"},
            "key 'adaptation': unknown kind 'gradiant' (did you mean 'gradient'?); allowed: none, gradient",
        ),
        ({"adaptation": {"gradiant": {}}}, "key 'adaptation': unknown kind 'gradiant' (did you mean 'gradient'?)"),
        ({"adaptation": ["none", "gradiant"]}, "key 'adaptation[1]': unknown kind 'gradiant' (did you mean 'gradient'?)"),
        ({"planner": "icme"}, "key 'planner': unknown kind 'icme' (did you mean 'icem'?); allowed: icem, cem, mppi, "),
        ({"fallback": "mpip"}, "key 'fallback': unknown kind 'mpip' (did you mean 'mppi'?); allowed: icem, cem, mppi, "),
        ({"planner": {3: {}}}, "key 'planner': unknown kind '3'; allowed: icem"),
    ],
)
def test_an_unknown_kind_is_named_with_the_likely_and_the_allowed_ones(values: dict[str, Any], expected: str):
    assert message(values).startswith(expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"planner": {"icem": {}, "cem": {}}}, "key 'planner': expected one kind with its settings"),
        ({"adaptation": {"none": {}, "gradient": {}}}, "key 'adaptation': expected one kind with its settings"),
        ({"adaptation": ["none", {"none": {}, "gradient": {}}]}, "key 'adaptation[1]': expected one kind with its settings"),
        ({"planner": {}}, "key 'planner': expected one kind with its settings"),
        ({"planner": None}, "key 'planner': expected one kind with its settings"),
        ({"planner": 3}, "key 'planner': expected one kind with its settings"),
        ({"planner": ["icem"]}, "key 'planner': expected one kind with its settings"),
        ({"adaptation": None}, "key 'adaptation': expected one kind with its settings"),
        ({"adaptation": [["none"]]}, "key 'adaptation[0]': expected one kind with its settings"),
    ],
)
def test_anything_but_one_kind_is_refused_with_an_example(values: dict[str, Any], expected: str):
    text = message(values)

    assert text.startswith(expected)
    assert "such as {icem: {}}" in text or "such as {none: {}}" in text
    assert "; allowed: " in text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"adaptation": {"gradient": {"steps": 0}}}, "key 'adaptation.gradient.steps': 0 is out of range; allowed: 1 to 50"),
        ({"adaptation": ["none", {"gradient": {"steps": 0}}]}, "key 'adaptation[1].gradient.steps': 0 is out of range"),
        ({"adaptation": {"gradient": {"step": 1}}}, "unknown key 'adaptation.gradient.step' (did you mean 'steps'?)"),
        ({"adaptation": {"gradient": 3}}, "key 'adaptation.gradient': expected a mapping, got 3"),
        (
            {"adaptation": {"gradient": {"parameters": "al"}}},
            "key 'adaptation.gradient.parameters': got 'al' (did you mean 'all'?)",
        ),
        ({"adaptation": [{"none": {"steps": 1}}]}, "unknown key 'adaptation[0].none.steps'"),
        ({"planner": {"mppi": {"num_elites": 4}}}, "unknown key 'planner.mppi.num_elites'"),
        ({"planner": {"cem": {"num_elites": 400}}}, "key 'planner.cem': num_elites 400 must not exceed num_samples 64"),
    ],
)
def test_a_mistake_in_settings_is_named_by_its_whole_path(values: dict[str, Any], expected: str):
    assert message(values).startswith(expected)


@pytest.mark.parametrize("tag", CONFIGS)
def test_every_planner_is_read_by_its_tag(tag: str):
    assert load({"planner": tag}).planner == CONFIGS[tag]()


def test_a_tag_stands_around_its_settings():
    plain = to_mapping(Settings(adaptation=(NoneConfig(), GradientConfig(steps=3))))

    assert plain["adaptation"][0] == {"none": {}}
    assert list(plain["adaptation"][1]) == ["gradient"]
    assert plain["adaptation"][1]["gradient"]["steps"] == 3
    assert list(plain["planner"]) == ["icem"]
    assert plain["fallback"] is None


rules = st.just(NoneConfig()) | st.builds(
    GradientConfig,
    parameters=st.sampled_from(["modulation", "all"]),
    steps=st.integers(1, 50),
    learning_rate=st.floats(0, 10),
    second_order=st.booleans(),
)
planners = st.one_of(
    st.builds(ICEMConfig, num_samples=st.integers(20, 99), sigma=st.floats(0.1, 1)),
    st.builds(MPPIConfig, temperature=st.floats(0.1, 1), horizon=st.integers(1, 500)),
    st.sampled_from([config() for config in CONFIGS.values()]),
)


@given(settings=st.builds(Settings, st.lists(rules, max_size=3).map(tuple), planners, st.none() | planners))
def test_what_is_saved_is_read_back_equal(tmp_path_factory: pytest.TempPathFactory, settings: Settings):
    path = tmp_path_factory.mktemp("config") / "run.yaml"

    save_yaml(path, settings)

    assert load_yaml(path, Settings) == settings


@dataclass(frozen=True)
class Only:
    """The only kind that there is, without settings that may be left out."""

    TAG: ClassVar[str] = "only"

    size: int = bounded(low=1)


@dataclass(frozen=True)
class Holder:
    what: Only


def test_a_field_with_one_kind_is_tagged_too():
    assert from_mapping(Holder, {"what": {"only": {"size": 2}}}, source="run.yaml") == Holder(Only(2))
    with pytest.raises(ConfigError, match=r"run.yaml: missing key 'what.only.size'"):
        from_mapping(Holder, {"what": "only"}, source="run.yaml")
    with pytest.raises(ConfigError, match=r"run.yaml: key 'what': unknown kind 'size'; allowed: only"):
        from_mapping(Holder, {"what": {"size": 2}}, source="run.yaml")


def test_the_tag_is_no_setting():
    assert "TAG" not in {f.name for f in dataclasses.fields(Only)}
    assert to_mapping(Only(3)) == {"only": {"size": 3}}


def test_an_entry_in_the_old_form_gets_the_kind_that_was_meant():
    assert "such as {gradient: {}}, got" in message({"adaptation": {"rule": "gradient", "window": 16}})
    assert "such as {mppi: {}}, got" in message({"planner": {"method": "mppi", "horizon": 15}})
