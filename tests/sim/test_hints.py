"""A hint in an error message works when it is followed."""

from __future__ import annotations

import re

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
