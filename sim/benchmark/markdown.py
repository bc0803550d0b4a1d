"""A benchmark's report as Markdown: tables, for documentation and terminals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sim.benchmark.statistics import NOTHING

Report = dict[str, Any]
Row = Sequence[str]

LEADERBOARD = (
    "arm",
    "training seeds",
    "return after change [95 %]",
    "normalised: mean [95 %]",
    "open-loop error [95 %]",
    "adapt ms",
    "plan ms",
    "train seconds",
    "env steps",
    "privileged steps",
)
SCORES = (
    "arm",
    "normalised: IQM [95 %]",
    "median [95 %]",
    "worst task",
    "steps to 90 % of own late level [95 %]",
    "steps to 80 % of oracle [95 %]",
    "steps under the prior, since adapting hurt",
)
COMPARISON = (
    "difference",
    "return after change [95 %]",
    "more than before the change [95 %]",
    "normalised [95 %]",
    "probability of improvement [95 %]",
    "what it covers",
)


def markdown_report(report: Report) -> str:
    """The whole report."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# Benchmark: {report['benchmark']}"
    yield ""
    yield about(report)
    yield from (f"\n- {note}" for note in notes(report))
    if report["overall"]["arms"]:
        yield "\n## All protocols\n"
        yield from table(LEADERBOARD, leaderboard_rows(report["overall"]["arms"]))
        yield ""
        yield from table(SCORES, score_rows(report["overall"]["arms"]))
        yield ""
        yield from table(COMPARISON, comparison_rows(report["overall"]["comparisons"]))
    for protocol in report["protocols"]:
        yield f"\n## {protocol['robot']}: {protocol['name']}\n"
        yield from table(LEADERBOARD, leaderboard_rows(protocol["leaderboard"]))
        yield ""
        yield from table(SCORES, score_rows(protocol["leaderboard"]))
        yield ""
        yield references(protocol)
        if protocol["comparisons"]:
            yield ""
            yield from table(COMPARISON, comparison_rows(protocol["comparisons"]))
        for scenario in protocol["scenarios"]:
            yield f"\n### {scenario['name']}\n"
            yield from evidence_tables(scenario)


def about(report: Report) -> str:
    """What was run, in a paragraph."""
    config = report["config"]
    return (
        f"{config['episodes']} episodes per arm and scenario, seeds from {config['seed']} on, each with its own planner noise; "
        f"{duration_hours(config['cell_seconds'])} h of computing on {config['machine']['cpu']}, one thread per process; "
        f"revision {', '.join(config['git_revisions'])}; {config['date']}."
    )


def duration_hours(seconds: float) -> str:
    """Hours with one digit, or two below one hour."""
    return f"{seconds / 3600:.1f}" if seconds >= 3600 else f"{seconds / 3600:.2f}"


def notes(report: Report) -> list[str]:
    """What a reader must know about what is not there."""
    found = [f"Left out, because it is not there: {place}" for place in report["missing"]]
    found += [f"Failed: {cell['cell']}: {cell['error']}" for cell in report["failed"]]
    for protocol in report["protocols"]:
        for scenario in protocol["scenarios"]:
            found += [
                f"{scenario['name']}: left out of all arms, because physics became unstable: {s}" for s in scenario["left_out"]
            ]
    found += _without_profile("all protocols", report["overall"]["profiles"])
    for protocol in report["protocols"]:
        found += _without_profile(protocol["name"], protocol["profiles"])
    if report["config"]["episodes"] < 5:
        found.append("Intervals of fewer than 5 episodes say little.")
    if len(report["config"]["git_revisions"]) > 1:
        found.append("Results of several revisions of the code are mixed; give another --out to run all of them anew.")
    return found


def _without_profile(where: str, profiles: Report | None) -> list[str]:
    reason = "its scenarios have different numbers of training seeds"
    return [f"{where}: no performance profile of {label}, because {reason}." for label in (profiles or {}).get("left_out", ())]


def references(protocol: Report) -> str:
    """The two ends of the normalised score, in a sentence."""
    found = protocol["references"]
    words = [f"{name} {number(found[name], 1)}" for name in ("oracle", "random") if name in found]
    if not words:
        return "There is no result of the oracle or of the random policy."
    return f"Mean return after the change of the references: {', '.join(words)}."


def leaderboard_rows(lines: Iterable[Report]) -> list[Row]:
    """One row of cells for each arm."""
    return [
        (
            line["arm"],
            ", ".join(map(str, line["training_seeds"])),
            interval(line["return_after_change"], 1),
            interval(line["normalized"]["mean"], 2),
            interval(line["open_loop_10"], 3),
            number(line["adapt_ms"], 1),
            number(line["plan_ms"], 1),
            number(line["train_seconds"], 0),
            number(line["env_steps"], 0),
            number(line["privileged_steps"], 0),
        )
        for line in lines
    ]


def score_rows(lines: Iterable[Report]) -> list[Row]:
    """Further figures of the same arms."""
    return [
        (
            line["arm"],
            interval(line["normalized"]["iqm"], 2),
            interval(line["normalized"]["median"], 2),
            number(line["normalized"]["worst"], 2),
            steps(line["steps_to_late_level"]),
            steps(line["steps_to_oracle"]),
            "-" if line["fell_back"] is None else f"{line['fell_back']:.0%}",
        )
        for line in lines
    ]


def comparison_rows(comparisons: Iterable[Report]) -> list[Row]:
    """One row of cells for each pair of arms."""
    return [
        (
            f"{pair['ours']} - {pair['theirs']}",
            interval(pair["return_after_change"], 1, sign=True),
            # older reports have none
            interval(pair.get("after_minus_before", NOTHING), 1, sign=True),
            interval(pair["normalized"], 2, sign=True),
            interval(pair["probability"], 2),
            pair.get("covers", ""),
        )
        for pair in comparisons
    ]


def kind_rows(scenario: Report) -> tuple[Row, list[Row]]:
    """Header and rows of the table of normalised scores by kind of change, one column for each arm."""
    kinds = scenario["kinds_of_change"]
    arms = list(next(iter(kinds.values()))["normalized"]) if kinds else []
    rows: list[Row] = [
        (kind, str(found["episodes"]), *(number(found["normalized"][arm], 2) for arm in arms)) for kind, found in kinds.items()
    ]
    return ("normalised by kind of change", "episodes", *arms), rows


def evidence_tables(scenario: Report) -> Iterator[str]:
    """Scores by kind of change, and K-shot figures with one column for each k."""
    yield from table(*kind_rows(scenario))
    yield ""
    for title, found, arms in (
        ("open-loop error over 10 steps after k transitions", scenario["evidence"], scenario["evidence"]["methods"]),
        ("reward rate from k transitions on, oracle = 1, random = 0", scenario["reward_rate"], scenario["reward_rate"]["arms"]),
    ):
        if arms:
            yield from table(
                (title, *map(str, found["transitions"])), [evidence_row(name, curve) for name, curve in arms.items()]
            )
            yield ""


def evidence_row(name: str, curve: Report) -> Row:
    """The points of one curve."""
    return (name, *(number(value, 2) for value in curve["mean"]))


def table(header: Row, rows: Iterable[Row]) -> Iterator[str]:
    """The lines of a table."""
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def steps(figure: Report) -> str:
    """A median number of steps, and how often the level was never reached."""
    never = f"; {figure['never']} of {figure['episodes']} never" if figure["never"] else ""
    return f"{interval(figure['median'], 0)}{never}"


def interval(figure: Report, digits: int, *, sign: bool = False) -> str:
    """An estimate with its interval; an upper end of None stands for what never happened."""
    if figure["value"] is None:
        return "-"
    value = f"{figure['value']:{'+' if sign else ''},.{digits}f}"
    if figure["ci95"] is None:
        return value
    low, high = figure["ci95"]
    return f"{value} [{low:,.{digits}f}, {'never' if high is None else number(high, digits)}]"


def number(value: float | None, digits: int) -> str:
    """A number, or a dash."""
    return "-" if value is None else f"{value:,.{digits}f}"
