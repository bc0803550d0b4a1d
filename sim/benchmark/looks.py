"""Looks at held-out changes: which lines a benchmark adds to the ledger of test evaluations, and when."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sim.benchmark.cells import Cell, Plan
from sim.benchmark.run_cell import Result, read_result
from sim.evaluation.ledger import LedgerEntry, append_to_ledger, is_held_out, require_ledger
from sim.scenarios.loading import load_scenario


def looked_at(results: Iterable[tuple[Cell, Result]], reason: str = "") -> list[LedgerEntry]:
    """What the ledger of test evaluations says about results: one entry for each model and scenario that is held out.

    A result may be from a time when the suite's files lay elsewhere, so the names are those of its cell.
    """
    found: dict[tuple[str, str], LedgerEntry] = {}
    names: dict[str, str] = {}
    for cell, result in results:
        if cell.checkpoint is None:
            continue
        name = names.get(cell.scenario) or names.setdefault(cell.scenario, load_scenario(cell.scenario).name)
        if is_held_out(name):
            about = (result["date"], result["git_revision"] or "", cell.checkpoint, name, cell.episodes, cell.seed, reason)
            found.setdefault((cell.checkpoint, name), LedgerEntry(*about))
    return list(found.values())


class Looks:
    """Adds a line to the ledger as soon as a model has its first result on a scenario, so that an interruption loses none.

    Args:
        plan: the cells of the benchmark; those that have a result already were written down when they ran.
        out: folder of the benchmark.
        ledger: the CSV file.
        reason: why one looks.

    Raises:
        ConfigError: the file has other columns.
    """

    def __init__(self, plan: Plan, out: Path, ledger: Path, reason: str = "") -> None:
        require_ledger(ledger)
        self._plan, self._out, self._ledger, self._reason = plan, out, ledger, reason
        self._known = {_look(cell, result) for cell in plan.cells() if (result := read_result(cell, out)) is not None}

    def note(self, cell: Cell) -> None:
        """Write down the look of a cell, if it has a result and its look is a new one."""
        result = None if cell.checkpoint is None else read_result(cell, self._out)
        if result is not None and (look := _look(cell, result)) not in self._known:
            append_to_ledger(self._ledger, looked_at([(cell, result)], self._reason))
            self._known.add(look)

    def note_all(self) -> None:
        """Write down all looks that are new, also of cells that had ended when the benchmark was interrupted."""
        for cell in self._plan.cells():
            self.note(cell)


def _look(cell: Cell, result: Result) -> tuple[str | None, str, str, str | None]:
    """What a look is of: the model by its name and its files, the scenario, and the revision of the code that ran."""
    return cell.checkpoint, cell.scenario, cell.fingerprint, result["git_revision"]
