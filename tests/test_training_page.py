"""docs/training.md explains every key of a training's YAML file with its default, and its examples are right."""

from __future__ import annotations

import dataclasses
import re
import typing
from pathlib import Path

import pytest
import yaml

from adaptive_mbrl.adaptation import RuleConfig
from adaptive_mbrl.adaptation.domain_adversary import DomainAdversaryConfig
from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.data.weighting import WeightingConfig
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.meta.balancing import BalancingConfig
from adaptive_mbrl.meta.reset import ResetConfig
from adaptive_mbrl.meta.trainer import OuterConfig
from adaptive_mbrl.options import TrainOptions
from adaptive_mbrl.planning import CVaRRiskConfig, PlannerConfig
from adaptive_mbrl.planning.learned_reward import LearnedRewardConfig
from adaptive_mbrl.planning.learned_termination import LearnedTerminationConfig
from adaptive_mbrl.planning.value import ValueConfig
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.data_config import DataConfig
from sim.training.config import load_train_config

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "training.md").read_text(encoding="utf-8")
RULES = {rule.TAG: rule for rule in typing.get_args(RuleConfig)}
BALANCINGS = {kind.TAG: kind for kind in typing.get_args(BalancingConfig)}
PLANNERS = {planner.TAG: planner for planner in typing.get_args(PlannerConfig)}
SECTIONS = {
    "Keys": TrainConfig,
    "Episodes": DataConfig,
    "Weights of episodes": WeightingConfig,
    "The network": ModelConfig,
    "The outer loop": OuterConfig,
    **{tag: kind for tag, kind in BALANCINGS.items() if tag != "mean"},
    "Terminal value": ValueConfig,
    "Learned reward": LearnedRewardConfig,
    "Learned termination": LearnedTerminationConfig,
    "Layers that are drawn again": ResetConfig,
    "gradient": RULES["gradient"],
    "gauss_newton": RULES["gauss_newton"],
    "context": RULES["context"],
    "known_parameters": RULES["known_parameters"],
    "latent": RULES["latent"],
    "recurrent": RULES["recurrent"],
    "learned_loss": RULES["learned_loss"],
    "transformer": RULES["transformer"],
    "soft_modules": RULES["soft_modules"],
    "bayes_linear": RULES["bayes_linear"],
    "domain adversary": DomainAdversaryConfig,
    "embedding": RULES["embedding"],
    "multi_head": RULES["multi_head"],
    "mixture": RULES["mixture"],
    "icem": PLANNERS["icem"],
    "mppi": PLANNERS["mppi"],
    "random_shooting": PLANNERS["random_shooting"],
    "gradient planner": PLANNERS["gradient"],
    "Risk over particles": CVaRRiskConfig,
}
SHELL = re.findall(r"```sh\n(.*?)```", PAGE, flags=re.S)


def rows(title: str) -> dict[str, str]:
    """The default of every key in the table of a section, as it is written."""
    section = re.split(rf"^##+ {title}(?: \(.*)?$", PAGE, flags=re.M)[1].split("\n#")[0]
    table = section.split("| key | meaning | default |\n")[1].split("\n\n")[0]
    cells = [line.split(" | ") for line in table.splitlines()[1:]]
    return {key.strip("| `"): default.strip(" |") for key, *_, default in cells}


@pytest.mark.parametrize("title", SECTIONS)
def test_the_table_has_every_key_and_no_other(title: str):
    assert set(rows(title)) == {field.name for field in dataclasses.fields(SECTIONS[title])}


@pytest.mark.parametrize("title", SECTIONS)
def test_the_defaults_are_those_of_the_program(title: str):
    for field in dataclasses.fields(SECTIONS[title]):
        written = rows(title)[field.name]
        if "](" in written:
            continue  # it has a section of its own
        default = field.default_factory() if field.default is dataclasses.MISSING else field.default  # type: ignore[misc]
        expected = None if written == "none" else yaml.safe_load(written)
        assert (list(default) if isinstance(default, tuple) else default) == expected, field.name


def test_every_kind_of_rule_and_planner_has_its_place():
    assert set(RULES) - {"none", "history"} <= set(SECTIONS)
    cem, icem = ({(f.name, f.default) for f in dataclasses.fields(PLANNERS[tag])} for tag in ("cem", "icem"))
    assert {name for name, _ in icem - cem} == {"num_elites_kept"}
    assert set(PLANNERS) == {"icem", "cem", "mppi", "random_shooting", "gradient"}


def test_the_example_without_a_simulator_can_be_read():
    (example,) = (text for text in re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S) if "logs.yaml" in text)
    config = from_mapping(TrainConfig, yaml.safe_load(example), source="docs/training.md")
    assert config.scenarios is None
    assert config.data.episodes_from is not None
    assert config.objective


COMMANDS = [line.split("#")[0].split() for text in SHELL for line in text.splitlines() if "adaptive-mbrl train" in line]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_trainings_on_the_page_can_be_started(words: list[str]):
    settings = tuple(words[words.index("--set") + 1 :]) if "--set" in words else ()
    name = words[words.index("--config") + 1]
    assert TrainOptions(name, set=settings).run_folder.parent == Path("runs/train")
    if not name.endswith(".yaml"):
        load_train_config(name, settings)
