"""A log's tags are what somebody wrote: no text becomes another number, and none takes a name that has a meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from adaptive_mbrl import cli
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.logs.config import load_log_config
from adaptive_mbrl.logs.tags import plain
from tests.core.cart_logs import CART, DT, cart_config, cart_log, write_csv

OWN = ("source", "scenario", "situation", "validation", "begin_seconds", "begin_step", "file", "bag", "start", "dataset")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "20240531142233123.5",
            "2024_05_31",
            "1e5",
            "1E5",
            "007",
            "00",
            "-0",
            "+1",
            "nan",
            "NaN",
            "inf",
            "-Infinity",
            "",
            "ice",
        ),
        *("1.10", ".5", "5.", "1e-05", "0.00001", "0.1000000000000000055", "1_0.5", "0x10", "٣", " 7", "9" * 5000, "2024-05-31"),
    ],
)
def test_a_text_that_no_number_is_written_as_stays_a_text(text: str):
    assert plain(text) == text
    assert type(plain(text)) is str
    assert plain(np.str_(text)) == text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("12", 12), ("-3", -3), ("0", 0), ("0.5", 0.5), ("12.25", 12.25), ("-0.1", -0.1), ("12.0", 12)),
        *(("20240531142233123", 20240531142233123), ("20240531142233125", 20240531142233125)),
        *((np.int64(2**53 + 1), 2**53 + 1), (np.uint64(2**64 - 1), 2**64 - 1), (np.float64(12), 12), (np.float32(0.1), 0.1)),
        *((np.float64(1e-05), 1e-05), (np.True_, 1)),
    ],
)
def test_a_number_is_a_number(value: Any, expected: float):
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("kind", ["constant", "columns", "path"])
def test_a_tag_of_the_project_is_refused(kind: str, name: str):
    tags = {"constant": {name: 1}, "columns": [name], "path": f"(?P<{name}>[a-z]+)"}[kind]

    with pytest.raises(ConfigError, match=f"cart.yaml: key 'tags': tag '{name}' has a meaning of its own; allowed: any name but"):
        cart_config(tags={kind: tags})


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{day: 2024-05-31}", "key 'constant.day': got 2024-05-31 (date); write '2024-05-31' in quotes; allowed: texts, finite"),
        (
            "{at: 2024-05-31 14:00:00}",
            "key 'constant.at': got 2024-05-31 14:00:00 (datetime); write '2024-05-31 14:00:00' in quotes",
        ),
        ("{lab: {days: [1, 2024-05-31]}}", "key 'constant.lab.days[1]': got 2024-05-31 (date)"),
        ("{lab: {7: a}}", "key 'constant.lab': got the key 7; allowed: texts, such as '7' in quotes"),
        ("{mass: .nan}", "key 'constant.mass': got nan (float); allowed: texts, finite numbers"),
        ("{mass: [.inf]}", "key 'constant.mass[0]': got inf (float)"),
        ("{parts: !!set {a, b}}", "key 'constant.parts': got "),
        ("&all {lab: *all}", "key 'constant': a value is nested too deep or holds itself; allowed: what JSON holds"),
        ("{photo: !!binary aGVsbG8=}", "key 'constant.photo': got b'hello' (bytes)"),
    ],
)
def test_a_constant_that_json_cannot_hold_is_one_line(tmp_path: Path, written: str, message: str):
    path = tmp_path / "logs.yaml"
    path.write_text(yaml.safe_dump(CART) + f"tags: {{constant: {written}}}\n")

    with pytest.raises(ConfigError) as error:
        load_log_config(path)

    assert str(error.value).startswith(f"{path}: key 'tags': {message}")
    assert "\n" not in str(error.value)


def test_constants_come_back_as_they_were_written(tmp_path: Path):
    written = {"day": "2024-05-31", "lab": {"rooms": [1, 2.5, None, True], "of": {}}, "7": "a"}

    constant = cart_config(tags={"constant": written}).tags.constant

    assert json.loads(json.dumps(constant)) == written


def test_constants_may_have_names_that_are_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    log = write_csv(tmp_path / "a.csv", cart_log(DT * np.arange(9), np.ones(9)))
    (tmp_path / "logs.yaml").write_text(yaml.safe_dump(CART) + "tags: {constant: {7: a, b: c}}\n")

    assert cli.main(["data", "import", str(log), "--config", str(tmp_path / "logs.yaml"), "--out", str(tmp_path / "e")]) == 0
