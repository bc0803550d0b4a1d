"""The README's code runs, with fewer updates than it asks for."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from adaptive_mbrl.cli import parse
from adaptive_mbrl.storage import write_text_atomically
from sim.scenarios.loading import load_scenario
from sim.scenarios.scenario import Scenario
from sim.training.config import load_train_config
from sim.training.train import train

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)


def blocks(language: str) -> list[str]:
    return [text for found, text in BLOCKS if found == language]


def test_every_command_parses() -> None:
    text = "\n".join(blocks("sh")).replace("\\\n", " ")
    commands = [line for line in text.splitlines() if line.startswith("adaptive-mbrl")]
    assert len(commands) >= 4
    for line in commands:
        parse(shlex.split(line, comments=True)[1:])


def test_every_make_target_exists() -> None:
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make ([\w-]+)", "\n".join(blocks("sh")), flags=re.M)
    assert {"demo", "test"} <= set(targets)
    assert all(re.search(rf"^{target}:", makefile, flags=re.M) for target in targets)


def test_the_scenario_loads(tmp_path: Path) -> None:
    (text,) = (b for b in blocks("yaml") if "changes:" in b)
    write_text_atomically(tmp_path / "scenario.yaml", text)
    scenario = load_scenario(tmp_path / "scenario.yaml")
    assert isinstance(scenario, Scenario)
    assert [c.at for c in scenario.changes] == [0, 200, 300]


def test_a_robot_of_ones_own_trains_and_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files = [*blocks("xml"), *blocks("yaml")]
    for text in files:
        name = re.match(r"(?:#|<!--) (\w+\.(?:ya?ml|xml))", text)
        if name:
            Path(name.group(1)).write_text(text, encoding="utf-8")
    config = load_train_config("train.yaml")
    written = yaml.safe_load(Path("train.yaml").read_text(encoding="utf-8"))
    assert config.data.random_episodes == written["data"]["random_episodes"]
    few = replace(config.data, steps=40, random_episodes=4, oracle_episodes=1, iterations=1, episodes_per_iteration=1)
    small = replace(config, data=few, updates_initial=5, updates_per_iteration=5, updates_final=5)
    train(small, Path("runs/pendulum"))
    names: dict[str, object] = {}
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), names)
    info = names["info"]
    assert info.adapted_error.shape == (1,)  # type: ignore[attr-defined]
