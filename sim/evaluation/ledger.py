"""The ledger of test evaluations: who has looked at held-out changes is written down, one line each.

Whoever tunes a method until its test figures are good has trained on the test. The ledger does not prevent that, it shows it. A
line is about one model that ran on a part named `test...` of a shipped split, whether or not its figures were kept. Lines are
written by `benchmark`, by `evaluate` with ``--ledger``, and by the scripts `baseline_returns.py`, `privileges.py`,
`bridge_returns.py` and `two_machines.py` of the folder `benchmarks`; by nothing else.
"""

from __future__ import annotations

import csv
import fcntl
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.revision import git_revision
from sim.paths import known_configs


@dataclass(frozen=True)
class LedgerEntry:
    """One look at held-out changes.

    Attributes:
        date: day in UTC, as ``2026-01-31``.
        revision: git revision of the code; empty where it is not known.
        checkpoint: the model, as the user named it.
        scenario: the split and its part.
        episodes: number of episodes of every arm.
        seed: seed of the first one.
        reason: why one looked, in words; empty where nobody said.
    """

    date: str
    revision: str
    checkpoint: str
    scenario: str
    episodes: int
    seed: int
    reason: str = ""


COLUMNS = [field.name for field in fields(LedgerEntry)]
"""The first line of a ledger."""


def ledger_entries(checkpoints: Iterable[str], scenario: str, episodes: int, seed: int, reason: str = "") -> list[LedgerEntry]:
    """The entries of an evaluation; none where the scenario is not held out.

    Args:
        checkpoints: the models that were evaluated.
        scenario: name of the scenario, from `Scenario.name`.
        episodes: number of episodes.
        seed: seed of the first episode.
        reason: why one looked.
    """
    if not is_held_out(scenario):
        return []
    today, revision = datetime.now(UTC).date().isoformat(), git_revision() or ""
    return [LedgerEntry(today, revision, name, scenario, episodes, seed, reason) for name in dict.fromkeys(checkpoints)]


def is_held_out(scenario: str) -> bool:
    """Whether a scenario is a test part of a shipped split; `scenario` is its name, such as ``arm/mixed:test``."""
    split, _, part = scenario.partition(":")
    return part.startswith("test") and split in known_configs("scenarios")


def append_to_ledger(path: Path, entries: Iterable[LedgerEntry]) -> None:
    """Append entries to a CSV file, which is made if it is not there; two processes may do so at once.

    A file of before there were reasons gets the column.

    Raises:
        ConfigError: the file has other columns, see `require_ledger`.
    """
    rows = list(entries)
    if not rows:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    with path.open("a+", encoding="utf-8", newline="") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        head = _head(file, path)
        if head != COLUMNS:
            file.seek(0)
            old = list(csv.reader(file))[1:]
            file.truncate(0)
            writer.writerows([COLUMNS, *([*row, ""] for row in old)])
        writer.writerows(astuple(row) for row in rows)
        # one write of a whole number of lines, which always goes to the end
        file.write(text.getvalue())


def require_ledger(path: Path) -> None:
    """Refuse a file that no line can be appended to, before anything runs.

    Raises:
        ConfigError: it is there and has other columns.
    """
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            _head(file, path)


def _head(file: TextIO, path: Path) -> list[str]:
    """The columns of a ledger: those of today, those of before there were reasons, or none in a new file."""
    file.seek(0)
    head = next(csv.reader(file), [])
    if head not in ([], COLUMNS, COLUMNS[:-1]):
        raise ConfigError(f"{path}: its columns are {', '.join(head)}; allowed: {', '.join(COLUMNS)}")
    return head
