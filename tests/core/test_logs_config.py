"""Every mistake in the YAML file of a lab's logs is one line that names the file, the key and what is allowed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.columns import LogAction, LogChannel
from adaptive_mbrl.logs.config import load_log_config
from adaptive_mbrl.logs.log import read_log
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from tests.core.cart_logs import CART, DT, cart_config, cart_log, write_csv

X = {"name": "x", "unit": "m"}
PUSH = {"name": "push", "unit": "N", "low": -5, "high": 5}
QUATERNION = {"quaternion": ["w", "x", "y", "z"], "angle": "yaw"}


def test_the_robot_is_that_of_the_file():
    obs = (Channel("x", "m"), Channel("v", "m/s", "velocity"))
    assert cart_config().spec == RobotSpec("cart", DT, obs, (ActionChannel("push", "N", -5.0, 5.0),))
    assert cart_config().longest_gap == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"obz": []}, "unknown key 'obz' (did you mean 'obs'?); allowed keys: name, dt, obs, action"),
        ({"dt": 0.0}, "key 'dt': 0.0 of robot 'cart' is out of range; allowed: above 0"),
        ({"obs": None}, "missing key 'obs'"),
        ({"obs": [X, X]}, "key 'obs': two channels have the name 'x'; allowed: a name of its own for each"),
        ({"action": []}, "key 'action': robot 'cart' has no channels there; allowed: at least one"),
        ({"obs": [{**X, "kind": "angel"}]}, "key 'obs[0].kind': got 'angel' (did you mean 'angle'?)"),
        ({"obs": [{**X, "col": "x"}]}, "unknown key 'obs[0].col'"),
        ({"obs": [{**X, "scale": 2.0, "degrees": True}]}, "key 'obs[0]': 'x': both 'degrees' and 'scale' convert the unit"),
        ({"obs": [{**X, "scale": 0}]}, "with scale 0 every value is the same"),
        ({"obs": [{**X, "angle": "yaw"}]}, "'quaternion' and 'angle' belong together; allowed: both or none"),
        ({"obs": [{**X, **QUATERNION, "column": "x"}]}, "an angle of a quaternion has no 'column', 'scale' or 'degrees'"),
        ({"obs": [{**X, **QUATERNION, "quaternion": ["w"]}]}, "key 'obs[0].quaternion': expected 4 values, got 1"),
        ({"obs": [{**X, **QUATERNION, "angle": "jaw"}]}, "got 'jaw' (did you mean 'yaw'?); allowed: roll, pitch, yaw, twist_x"),
        (
            {"action": [{**PUSH, "low": 6}]},
            "key 'action[0]': action 'push': low 6.0 is not below high 5.0; allowed: 'low' below 'high'",
        ),
        ({"time": {"column": "t", "unit": "min"}}, "key 'time.unit': got 'min'"),
        ({"period": 0.1}, "key 'period': rows that have a time stamp need none; allowed: 'time' or 'period'"),
        ({"max_gap": 0}, "key 'max_gap': 0.0 is out of range"),
        ({"min_steps": 0}, "key 'min_steps': 0 is out of range; allowed: at least 1"),
        ({"healthy": [{"name": "y", "low": 0}]}, "key 'healthy[0].name': unknown channel 'y' of robot 'cart'"),
        (
            {"objective": [{"kind": "linear", "channels": ["y"]}]},
            "key 'objective[0]': key 'channels': reward term 'linear': unknown channel 'y'",
        ),
        (
            {"objective": [{"kind": "linear", "channels": ["x"], "goal": ["z"]}]},
            "key 'objective[0]': unknown goal 'z' (key 'goal' of reward term 'linear'); known goals: none",
        ),
        ({"objective": [{"kind": "linear", "channels": ["x"]}], "reward": "r"}, "key 'reward': there is an 'objective', too"),
        ({"goal": [{"name": "x"}]}, "key 'goal': there is no 'objective' with a term that could aim at it"),
        ({"situation": ["wind"]}, "key 'situation': unknown tag 'wind'; tags of this file: none"),
        (
            {"tags": {"columns": ["wind"]}, "situation": ["wimd"]},
            "unknown tag 'wimd' (did you mean 'wind'?); tags of this file: wind (key 'tags.columns[0]'); "
            "one of the two keys may have a typo",
        ),
        ({"tags": {"columns": ["scenario"]}}, "key 'tags': tag 'scenario' has a meaning of its own"),
        ({"tags": {"columns": ["a"], "constant": {"a": 1}}}, "key 'tags': tag 'a' stands there twice"),
        ({"tags": {"path": "(?P<a"}}, "key 'path': '(?P<a' is no regular expression"),
        ({"tags": {"path": "(?P<a\n"}}, "key 'path': '(?P<a' is no regular expression"),
        ({"tags": {"path": "[0-9]+"}}, "key 'path': '[0-9]+' has no named group"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, changes: dict[str, Any], message: str):
    path = tmp_path / "logs.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in (CART | changes).items() if v is not None}))

    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        load_log_config(path)

    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"obs": [{**X, "column": "pos"}]},
            "no column 'pos' (key 'obs[0]') (did you mean 'pose'?); columns: pose, push, t, v, when, x",
        ),
        ({"time": {"column": "time"}}, "no column 'time' (key 'time.column')"),
        ({"episode": "run"}, "no column 'run' (key 'episode')"),
        ({"obs": [{**X, "column": "when"}]}, "column 'when', line 2: 'noon' is no number"),
        ({"time": {"column": "when"}}, "column 'when', line 2: 'noon' is no number"),
        ({"time": {"column": "pose"}}, "column 'pose': none of its 9 rows has a time"),
        ({"tags": {"columns": ["pose"]}}, "column 'pose' is empty"),
    ],
)
def test_a_log_that_lacks_what_the_file_says_is_one_line(tmp_path: Path, changes: dict[str, Any], message: str):
    columns = cart_log(DT * np.arange(9), np.ones(9)) | {"when": ["noon"] * 9, "pose": [np.nan] * 9}
    path = write_csv(tmp_path / "log.csv", columns)

    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        read_log(path, cart_config(**changes))
    assert str(error.value).startswith(f"{path}: ")


def test_a_log_without_rows_is_a_mistake(tmp_path: Path):
    path = write_csv(tmp_path / "log.csv", {"t": [], "x": [], "v": [], "push": []})

    with pytest.raises(ConfigError, match=f"{path}: it has no rows"):
        read_log(path, cart_config())


@pytest.mark.parametrize(("unit", "allowed"), [("deg", "rad"), ("deg/s", "rad/s"), ("dps", "rad/s")])
def test_degrees_are_no_unit_of_a_channel(unit: str, allowed: str):
    """Whoever reads the store later would take them for radians."""
    for make in (
        lambda: LogChannel(name="turn", unit=unit, kind="velocity"),
        lambda: LogAction(name="turn", unit=unit, low=-1.0, high=1.0),
    ):
        with pytest.raises(ConfigError, match=f"got '{unit}'; allowed: unit: {allowed} with degrees: true"):
            make()
