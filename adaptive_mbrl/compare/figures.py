"""The figures of groups of runs, and their differences, paired where the runs share episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adaptive_mbrl.compare.entries import Entry
from adaptive_mbrl.compare.groups import Group
from adaptive_mbrl.intervals import Interval, mean_and_interval
from adaptive_mbrl.training.seed_table import summary

STEPS = (1, 5, 10)
"""Steps ahead whose errors each round records, if the loss is about so many."""

COSTS = ("rounds", "outer steps", "outer steps per second", "env steps", "branch steps", "oracle steps", "minutes")


@dataclass(frozen=True)
class Figure:
    """A number, and how well it is known.

    Attributes:
        value: the number; a mean where there are several.
        ci95: its 95 % interval; None where there is none.
        over: what the interval is over: seeds, episodes or nothing.
        num: number of these.
    """

    value: float
    ci95: Interval | None = None
    over: str = ""
    num: int = 1


@dataclass(frozen=True)
class Difference:
    """A figure of one group minus that of another, over what both have in common.

    Attributes:
        ours: the group.
        theirs: the group that is subtracted.
        what: the figure.
        figure: the difference.
    """

    ours: str
    theirs: str
    what: str
    figure: Figure


def figures_of(group: Group) -> dict[str, Figure]:
    """All figures of a group, by their names; those of several seeds are means with an interval over the seeds."""
    if len(group.entries) == 1:
        return dict(_single(group.entries[0]))
    found: dict[str, dict[str, float]] = {}
    for entry in group.entries:
        for name, figure in _single(entry):
            found.setdefault(name, {})[entry.name] = figure.value
    means = {name: over_seeds(values) for name, values in found.items()}
    # what a run costs says nothing about others
    return {name: replace(f, ci95=None) if name in COSTS else f for name, f in means.items()}


def over_seeds(values: Mapping[str, float]) -> Figure:
    """The mean over seeds, with Student's interval."""
    found = summary({**values})
    ends = None if found.low is None or found.high is None else (found.low, found.high)
    return Figure(found.mean, ends, "seeds" if len(values) > 1 else "", len(values))


def compared(groups: Sequence[Group]) -> Iterator[Difference]:
    """What every other group has more than the first one, where both are of one robot and share episodes."""
    first = groups[0]
    for group in groups[1:]:
        if group.robot != first.robot:
            continue
        for what in ("return", "held-out error"):
            figure = _paired(group, first, what)
            if figure is not None:
                yield Difference(group.label, first.label, what, figure)


def _single(entry: Entry) -> Iterator[tuple[str, Figure]]:
    history = entry.history
    if entry.returns:
        mean, ends = mean_and_interval(np.array([*entry.returns.values()]))
        name = "return in the evaluation" if history is None else "return of the newest collection"
        yield name, Figure(mean, ends, "episodes", len(entry.returns))
    if history is None:
        return
    record, figures = history.last.record, history.last.figures
    for name in ("adapted", "prior"):
        for steps in STEPS:
            value = record.scalars.get(f"validation/{name}_error_{steps}_steps")
            if value is not None:
                yield f"error {steps} steps ahead, {name}", Figure(value)
    found = history.held_out
    if found is not None:
        for name, rows in (("adapted", found.adapted), ("prior", found.prior)):
            mean, ends = mean_and_interval(np.array(rows).mean(1))
            yield f"error, mean of {found.horizon} steps, {name}", Figure(mean, ends, "episodes", len(rows))
    for name in ("adapted", "prior"):
        if f"validation/{name}_loss" in record.scalars:
            yield f"validation loss, {name}", Figure(record.scalars[f"validation/{name}_loss"])
    yield "rounds", Figure(len(history.rounds))
    yield "outer steps", Figure(record.updates)
    if figures is not None and figures.updates_per_second is not None:
        yield "outer steps per second", Figure(figures.updates_per_second)
    yield "env steps", Figure(record.env_steps)
    yield "branch steps", Figure(record.branch_steps)
    yield "oracle steps", Figure(record.oracle_steps)
    yield "minutes", Figure(record.seconds / 60)


def _paired(ours: Group, theirs: Group, what: str) -> Figure | None:
    """The mean difference: over the common episodes of a single pair of runs, or over the seeds that both groups have."""
    pairs = [(a, b) for a in ours.entries for b in theirs.entries if a.seed == b.seed]
    if not pairs and len(ours.entries) == len(theirs.entries) == 1:
        pairs = [(ours.entries[0], theirs.entries[0])]
    found = {a.name: gaps for a, b in pairs if len(gaps := _gaps(a, b, what))}
    if len(found) > 1:
        return over_seeds({name: float(gaps.mean()) for name, gaps in found.items()})
    for gaps in found.values():
        mean, ends = mean_and_interval(gaps)
        return Figure(mean, ends, "episodes", len(gaps))
    return None


def _gaps(ours: Entry, theirs: Entry, what: str) -> np.ndarray:
    """The differences on the episodes that both have, (E,)."""
    if what == "return":
        if (ours.history is None) != (theirs.history is None):
            # episodes with exploration noise are others
            return np.array([])
        return np.array([value - theirs.returns[key] for key, value in ours.returns.items() if key in theirs.returns])
    rows = [(row, theirs.errors[name]) for name, row in ours.errors.items() if name in theirs.errors]
    # a mean over as many steps as both know
    common = [(min(len(a), len(b)), a, b) for a, b in rows]
    return np.array([float(np.mean(a[:h]) - np.mean(b[:h])) for h, a, b in common])
