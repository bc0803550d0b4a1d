"""docs/data.md shows the settings of `train --data` as they are."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.data.shards import READ_BELOW, SCHEMA_VERSION
from adaptive_mbrl.data.steps import MOST_IN_MEMORY
from adaptive_mbrl.stores.frozen import FROZEN_STEPS
from adaptive_mbrl.stores.lerobot.channels import DatasetConfig
from adaptive_mbrl.stores.stamps import GAP_PERIODS
from adaptive_mbrl.training.config import FROM_RECORDINGS

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "data.md").read_text(encoding="utf-8")


def test_the_settings_are_those_of_the_program():
    (shown,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)
    assert yaml.safe_load(shown) == FROM_RECORDINGS


def test_the_file_of_a_lerobot_dataset_is_read():
    (shown,) = re.findall(r"```\n(name: .*?)```", PAGE, flags=re.S)
    config = from_mapping(DatasetConfig, yaml.safe_load(shown), source="data.md")
    assert config.spec(fps=50).obs_names == ("elbow_angle",)


def test_the_numbers_are_those_of_the_program():
    assert f"`schema` ({SCHEMA_VERSION})" in PAGE
    assert f"Files of {READ_BELOW >> 20} MiB and more are mapped" in PAGE
    assert f"Up to {MOST_IN_MEMORY >> 30} GiB of observations and actions" in PAGE
    assert f"for {FROZEN_STEPS} steps or more" in PAGE
    assert f"more than {GAP_PERIODS:g} control periods" in PAGE
