"""The notebooks run from top to bottom, and what they show is what was saved in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def code_of(notebook: Path) -> list[str]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook: Path, tmp_path: Path):
    script = tmp_path / "notebook.py"
    script.write_text("import matplotlib\n\nmatplotlib.use('agg')\n" + "\n\n".join(code_of(notebook)), encoding="utf-8")

    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_saved_with_its_outputs_and_without_errors(notebook: Path):
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]

    assert len(outputs) >= 5
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert "/tmp/" not in json.dumps(outputs)


def test_there_are_two_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["adaptation_in_one_hour", "bring_your_logs"]
