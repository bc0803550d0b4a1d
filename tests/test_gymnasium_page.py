"""The code of docs/gymnasium.md and the examples run as they stand there."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "gymnasium.md").read_text(encoding="utf-8"), flags=re.S)


def test_the_page_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, text in enumerate(BLOCKS):
        exec(compile(text, f"block {number} of docs/gymnasium.md", "exec"), names)
    assert len(BLOCKS) >= 8
    assert names["model"].num_timesteps == 512
    assert "adaptive_mbrl/HalfCheetahCadmCripple-v0" in capsys.readouterr().out.splitlines()


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(ROOT / "examples" / "gymnasium_random.py"))
    assert re.fullmatch(
        r"return -?\d+\.\d; at the end the robot had the change \{'actuator_gain': \{'f\w+': 0\.0\}\}\n", capsys.readouterr().out
    )
