"""Preparing a process for torch; in processes of their own, since the settings last as long as a process."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = ("OMP_WAIT_POLICY", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
PREPARE = "from adaptive_mbrl.runtime import prepare_process\nprepare_process()\n"
TORCH = "import sys, types; sys.modules['torch'] = types.ModuleType('torch')\n"
"""In the place of an import, which takes seconds: `prepare_process` looks only whether torch is loaded."""
# three blocks of 24 MB, freed together, five times; prints the page faults of all times but the first
ALLOCATE = """
import resource
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def allocate():
    blocks = [b"x" * (24 << 20) for _ in range(3)]
allocate()
before = faults()
for _ in range(4):
    allocate()
print(faults() - before)
"""


def run(program: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program without the settings that this test process has; it must end with this exit code."""
    inherited = {name: value for name, value in os.environ.items() if name not in SETTINGS} | {"PYTHONPATH": str(ROOT)}
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=inherited | environment, check=False
    )
    assert told.returncode == code, told.stderr
    return told


def test_an_import_changes_nothing_and_loads_no_torch():
    result = run(
        "import os, sys\nbefore = dict(os.environ)\nimport adaptive_mbrl.runtime\n"
        "print(before == dict(os.environ), 'torch' in sys.modules)"
    )

    assert result.stdout == "True False\n"


def test_waiting_threads_sleep_and_a_second_call_is_silent_even_after_torch():
    result = run(f"{PREPARE}import os\n{TORCH}{PREPARE}print(os.environ['OMP_WAIT_POLICY'])")

    assert (result.stdout, result.stderr) == ("PASSIVE\n", "")


def test_what_the_user_set_stays_and_needs_no_warning():
    result = run(f"import os\n{TORCH}{PREPARE}print(os.environ['OMP_WAIT_POLICY'])", OMP_WAIT_POLICY="ACTIVE")

    assert (result.stdout, result.stderr) == ("ACTIVE\n", "")


def test_after_torch_it_says_that_the_wait_policy_has_no_effect():
    result = run(f"{TORCH}{PREPARE}")

    assert (
        "RuntimeWarning: prepare_process() came after torch was imported, so OMP_WAIT_POLICY=PASSIVE has no effect"
        in result.stderr
    )
    assert "<string>:3" in result.stderr, "the warning points at the caller's line"


def test_the_command_line_prepares_its_process():
    result = run("import os\nfrom adaptive_mbrl.cli import main\nmain(['--version'])\nprint(os.environ['OMP_WAIT_POLICY'])")

    assert result.stdout.splitlines()[-1] == "PASSIVE"


def test_the_lifecycle_node_prepares_its_process_before_torch_is_loaded():
    stand_ins = (
        "import sys, types\n"
        "ros, node = types.ModuleType('rclpy.utilities'), types.ModuleType('robot_bridge.node.lifecycle')\n"
        "ros.remove_ros_args = list\n"
        "import os\n"
        "def spin():\n    print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)\n    return 3\n"
        "node.main = spin\n"
        "sys.modules.update({'rclpy': types.ModuleType('rclpy'), ros.__name__: ros, node.__name__: node})\n"
    )
    result = run(f"{stand_ins}from robot_bridge.node.executables import adaptive_mpc\nprint(adaptive_mpc())")

    assert result.stdout == "PASSIVE False\n3\n"


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(
    ("executable", "module"), [("simulated_robot", "rclpy.utilities"), ("adaptive_mpc", "robot_bridge.node.lifecycle")]
)
def test_a_signal_while_an_executable_loads_ends_it_quietly(executable: str, module: str, number: str):
    stand_ins = (
        "import signal, sys, types\n"
        "class Loading(types.ModuleType):\n"
        "    def __getattr__(self, name):\n"
        f"        signal.raise_signal(signal.{number})\n"
        f"sys.modules.update({{'rclpy': types.ModuleType('rclpy'), '{module}': Loading('{module}')}})\n"
    )
    result = run(f"{stand_ins}from robot_bridge.node.executables import {executable}\n{executable}()", code=130)

    assert (result.stdout, result.stderr) == ("", "")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is one of glibc's")
def test_freed_memory_is_kept_unless_the_user_says_otherwise():
    default, prepared = int(run(ALLOCATE).stdout), int(run(PREPARE + ALLOCATE).stdout)
    by_variable = int(run(PREPARE + ALLOCATE, MALLOC_TRIM_THRESHOLD_="1048576", MALLOC_MMAP_THRESHOLD_="1048576").stdout)
    by_tunable = int(
        run(PREPARE + ALLOCATE, GLIBC_TUNABLES="glibc.malloc.trim_threshold=1048576:glibc.malloc.mmap_threshold=1048576").stdout
    )

    assert prepared < min(default, by_variable, by_tunable) / 10
