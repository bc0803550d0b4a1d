"""A hint in an error message works when it is followed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adaptive_mbrl.errors import ConfigError
from sim.scenarios.loading import load_scenario


@pytest.mark.parametrize(
    ("mistake", "meant"),
    [
        ("cadm_cripple:test", "half_cheetah/cadm_cripple:test"),
        ("half_cheetah/cadm_criple:train", "half_cheetah/cadm_cripple:train"),
        ("cartpole/mas_gain:test", "cartpole/mass_gain:test"),
    ],
)
def test_a_name_that_was_meant_is_told_with_its_part(mistake: str, meant: str):
    with pytest.raises(ConfigError) as caught:
        load_scenario(mistake)

    hint = re.search(r"unknown scenario '(.+?)' \(did you mean '(.+?)'\?\)", str(caught.value))
    assert hint is not None
    assert hint.groups() == (mistake.partition(":")[0], meant)
    assert load_scenario(hint.group(2)).name == meant


@pytest.mark.parametrize("name", ["half_cheetah/cadm_cripple", "half_cheetah/cadm_cripple:tset", "cartpole/mass_gain"])
def test_the_example_of_a_splits_part_can_be_loaded(name: str):
    with pytest.raises(ConfigError) as caught:
        load_scenario(name)

    example = str(caught.value).rpartition(", for example ")[2]
    assert example == f"{name.partition(':')[0]}:test"
    assert load_scenario(example).name == example


def test_so_can_that_of_a_split_of_ones_own_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "split.yaml").write_text("robot: cartpole\nsteps: 20\ntrain: {}\n")

    with pytest.raises(ConfigError) as caught:
        load_scenario("mine/split.yaml:test")

    example = str(caught.value).rpartition(", for example ")[2]
    assert example == "mine/split.yaml:train"
    load_scenario(example)
