"""docs/baselines.md: its commands and its configuration are right, and its tables come from reports about the same episodes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from adaptive_mbrl.errors import ConfigError
from sim.baselines.config import load_baseline_config
from sim.baselines.policy import FORMAT_VERSION, BaselineDescription, BaselinePolicy, new_policy, save_baseline
from sim.baselines.ppo import PPOConfig
from sim.evaluation.report import write_report
from sim.paths import known_configs
from sim.robot.robot import load_robot
from tests.benchmark_scripts import ROOT, script

PAGE = (ROOT / "docs" / "baselines.md").read_text(encoding="utf-8")


def few_episodes(episodes: int) -> dict[str, Any]:
    """The first episodes of the shipped report about the cart-pole."""
    report = json.loads((ROOT / "docs" / "results" / "cartpole.json").read_text(encoding="utf-8"))
    arms = {name: {k: v[:episodes] if isinstance(v, list) else v for k, v in arm.items()} for name, arm in report["arms"].items()}
    config = report["config"] | {"episodes": episodes}
    return report | {"scenarios": report["scenarios"][:episodes], "arms": arms, "config": config}


def test_every_config_and_every_script_of_the_page_exists() -> None:
    loops = re.findall(r"for name in (.*?); do adaptive-mbrl train-baseline --config (\w+_)\$name; done", PAGE)
    assert [robot for _, robot in loops] == ["cartpole_", "half_cheetah_"]
    named = [robot + name for names, robot in loops for name in names.split()]
    named += re.findall(r"--config (\w+) ", PAGE)
    assert set(named) <= set(known_configs("baselines"))
    scripts = re.findall(r"python (\S+\.py)", PAGE)
    assert len(scripts) >= 3
    assert all((ROOT / script).is_file() for script in scripts)


def test_the_tables_are_those_of_the_reports() -> None:
    assert script("make_baselines").written(PAGE) == PAGE


def test_the_configuration_loads(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)
    (tmp_path / "my_baseline.yaml").write_text(text, encoding="utf-8")
    config = load_baseline_config(tmp_path / "my_baseline.yaml")
    assert (config.algorithm.TAG, config.env_steps, config.seed) == ("sac", 20000, 1)


def test_a_report_of_a_baseline_becomes_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    returns, tables = script("baseline_returns"), script("make_baselines")
    monkeypatch.setattr(returns, "OUT", tmp_path / "results" / "baselines")
    monkeypatch.setattr(tables, "DOCS", tmp_path)
    report = few_episodes(3)
    write_report(tmp_path / "results" / "cartpole.json", report)
    robot = load_robot("cartpole")
    about = BaselineDescription(
        FORMAT_VERSION, robot.spec, robot.objective.terms, (), PPOConfig(hidden=(8,)), {"env_steps": 35200, "seconds": 1.0}
    )
    moments = torch.zeros(about.features.dim).double(), torch.ones(about.features.dim).double()
    save_baseline(tmp_path / "cartpole_ppo" / "policy", BaselinePolicy(about, new_policy(about), *moments))

    returns.main(str(tmp_path / "results" / "cartpole.json"), str(tmp_path / "cartpole_ppo"), str(tmp_path / "unfinished"))

    (row,) = [line for line in tables.table("cartpole").splitlines() if line.startswith("| PPO")]
    written = json.loads((tmp_path / "results" / "baselines" / "cartpole_ppo.json").read_text(encoding="utf-8"))
    looks = (tmp_path / "results" / "test_ledger.csv").read_text(encoding="utf-8").splitlines()
    expected = [str(tmp_path / "cartpole_ppo"), "cartpole/mass_gain:test", "3", "0", "a baseline of the tables"]
    assert [look.split(",")[2:] for look in looks[1:]] == [expected]
    mean = written["summary"]["ppo"]["return_after_change"]["mean"]
    assert row.startswith(f"| PPO, 2 x | 35,200 | 0 | {mean:.0f} [")
    assert "<!-- begin cartpole -->\n`cartpole/mass_gain:test`, 3" in tables.written(
        "<!-- begin cartpole -->x<!-- end cartpole -->"
    )


def test_other_episodes_are_refused() -> None:
    returns = script("baseline_returns")
    report = few_episodes(2)
    assert [s.seed for s in returns.same_scenarios(report)] == [0, 1]
    report["scenarios"][1]["changes"] = []
    with pytest.raises(ConfigError, match="the episode of seed 1 is another one today"):
        returns.same_scenarios(report)
