"""A comparison as plain values, which the table, the page and the JSON file are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adaptive_mbrl.compare.entries import Entry
from adaptive_mbrl.compare.figures import Difference, Figure, compared, figures_of
from adaptive_mbrl.compare.groups import Group, differences, group_seeds
from adaptive_mbrl.errors import ConfigError


@dataclass(frozen=True)
class Result:
    """What was compared, and what came out.

    Attributes:
        groups: the groups, in the order of the command line.
        settings: the settings that differ, see `differences`.
        figures: the figures of each group.
        paired: differences from the first group.
        notes: what a reader has to know.
    """

    groups: tuple[Group, ...]
    settings: Mapping[str, Sequence[Any]]
    figures: tuple[Mapping[str, Figure], ...]
    paired: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def rows(self) -> list[str]:
        """Names of all figures, in reading order."""
        return [*dict.fromkeys(name for figures in self.figures for name in figures)]


def result_of(entries: Sequence[Entry]) -> Result:
    """Compare entries.

    Raises:
        ConfigError: there are fewer than two.
    """
    if len(entries) < 2:
        raise ConfigError(f"compare: got {entries[0].name} alone; allowed: two or more runs, or a report with several arms")
    groups = group_seeds(entries)
    paired = tuple(compared(groups))
    return Result(tuple(groups), differences(groups), tuple(map(figures_of, groups)), paired, tuple(_notes(groups, paired)))


def as_json(result: Result) -> dict[str, Any]:
    """The comparison as values that JSON knows."""
    labels = [group.label for group in result.groups]
    return {
        "groups": [
            {
                "name": group.label,
                "robot": group.robot,
                "runs": [{"name": entry.name, "seed": entry.seed, "folder": _folder(entry)} for entry in group.entries],
                "figures": {name: asdict(figure) for name, figure in figures.items()},
            }
            for group, figures in zip(result.groups, result.figures, strict=True)
        ],
        "settings": {key: dict(zip(labels, values, strict=True)) for key, values in result.settings.items()},
        "paired": [asdict(difference) for difference in result.paired],
        "notes": list(result.notes),
    }


def _folder(entry: Entry) -> str | None:
    folder: Path | None = None if entry.history is None else entry.history.folder
    return None if folder is None else str(folder)


def _notes(groups: Sequence[Group], paired: Sequence[Difference]) -> Iterator[str]:
    robots = [*dict.fromkeys(group.robot for group in groups)]
    if len(robots) > 1:
        yield (
            f"These are runs of different robots ({', '.join(robots)}). Returns, losses and errors are in units of their own "
            "robot, and say nothing across robots; steps and times do."
        )
    unfinished = [
        entry.name
        for group in groups
        for entry in group.entries
        if entry.history is not None and len(entry.history.rounds) < entry.history.config.num_rounds
    ]
    if unfinished:
        yield f"Not complete yet: {', '.join(unfinished)}."
    without = [group.label for group in groups[1:] if group.label not in {difference.ours for difference in paired}]
    of_robot = {group.label for group in groups if group.robot == groups[0].robot}
    if alone := [label for label in without if label in of_robot]:
        yield f"No episodes in common with {groups[0].label}, so nothing is paired: {', '.join(alone)}."
    revisions = {e.history.revision for group in groups for e in group.entries if e.history is not None}
    if len(revisions) > 1:
        yield f"The runs were started by different revisions of the code: {', '.join(sorted(revisions))}."
