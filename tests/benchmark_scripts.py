"""The scripts in benchmarks/ are no package: tests load them by their file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent


def script(name: str) -> ModuleType:
    """The module ``benchmarks/NAME.py``."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # as when Python runs the script: its neighbours can be imported
    with mock.patch.object(sys, "path", [str(ROOT / "benchmarks"), *sys.path]):
        spec.loader.exec_module(module)
    return module
