"""The code of docs/physics.md runs as it stands there, and finds what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "physics.md").read_text(encoding="utf-8"), flags=re.S)


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for text in BLOCKS:
        exec(compile(text, "docs/physics.md", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    (gain,) = [line for line in lines if line.startswith("actuator_gain fthigh")]
    assert float(gain.split()[2]) == pytest.approx(-1.0, abs=0.1)
    assert lines[-1].startswith("action_delay: 0.00")
