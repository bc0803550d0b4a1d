"""Which tests notice when the code is wrong? Runs the tests of quality against each mutant of `tests/quality/mutants.py`.

Usage: python -m tests.mutations [MUTANT ...]

Each file of tests runs by itself, so that the table shows what each one protects: a canary notices any change of a number, but is
recorded anew with every checkpoint. A mutant is killed when a test fails. What the tests of quality cannot notice is put to some
fast unit tests. Prints a table and exits with 1 if a mutant survives, and with 2 if tests cannot run or fail without a mutant.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.quality.mutants import MUTANTS, VARIABLE

ROOT = Path(__file__).resolve().parent.parent
QUALITY = [f"tests/quality/test_{name}.py" for name in ("canary", "prediction", "closed_loop")]
UNIT = [f"tests/core/test_{name}.py" for name in ("score", "planner_base", "gate")]
"""For what the tests of quality cannot notice."""
PASSED, FAILED = 0, 1
"""Exit codes of pytest; others mean that it could not run."""


class Outcome(NamedTuple):
    """How a test run ended.

    Attributes:
        code: pytest's exit code.
        test: the test that failed; empty if none did.
        output: what pytest printed.
    """

    code: int
    test: str
    output: str


def run_tests(files: list[str], mutant: str = "") -> Outcome:
    """Run tests until one fails, with a mutant or with the code as it is."""
    environment = os.environ | {VARIABLE: mutant, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "tests.quality.mutants", *files]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", ran.stdout, re.MULTILINE)
    return Outcome(ran.returncode, failed[1] if failed else "", ran.stdout + ran.stderr)


def verdicts(mutant: str) -> list[str]:
    """The first failed test of each file of quality, then of the unit tests; a dash where none fails.

    The unit tests run where no test of quality fails.
    """
    found = []
    for files in (*([file] for file in QUALITY), UNIT):
        if files is UNIT and any(test != "-" for test in found):
            return [*found, "not needed"]
        outcome = run_tests(files, mutant)
        if outcome.code not in (PASSED, FAILED):
            raise SystemExit(stop(f"the tests could not run with the mutant '{mutant}'", outcome))
        found.append(outcome.test.rpartition("::")[2] if outcome.code == FAILED else "-")
    return found


def stop(reason: str, outcome: Outcome) -> int:
    """Say why there can be no table; returns the exit code."""
    print(f"{outcome.output}\nerror: {reason}", file=sys.stderr)
    return 2


def main(names: list[str]) -> int:
    """Test the named mutants, or all; returns the exit code."""
    unknown = [name for name in names if name not in MUTANTS]
    if unknown:
        print(f"error: unknown mutant '{unknown[0]}'; allowed: {', '.join(MUTANTS)}", file=sys.stderr)
        return 2
    without = run_tests(QUALITY + UNIT)
    if without.code != PASSED:
        return stop("the tests fail without a mutant, so that they say nothing about mutants", without)
    columns = [Path(file).stem for file in QUALITY]
    print(f"| mutant | seconds | {' | '.join(columns)} | unit tests |\n|---|---|---|{'---|' * len(columns)}", flush=True)
    survived = 0
    for name in names or MUTANTS:
        begun = time.monotonic()
        tests = verdicts(name)
        survived += set(tests) == {"-"}
        print(f"| {name} | {time.monotonic() - begun:.0f} | {' | '.join(tests)} |", flush=True)
    print(f"{survived} survived" if survived else "every mutant is killed")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
