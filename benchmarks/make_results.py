"""Write the tables of docs/ that come from reports: no figure is typed by hand.

Usage: python benchmarks/make_results.py

Between a line ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` in one of the `PAGES`, the text is replaced by what
docs/results/NAME.json says. `budgets` is about the shipped checkpoints; `in_short`, `test_ledger` and `evidence` sum up several
files.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_tables import bench_tables
from evidence_tables import in_short, not_measured, reactions_table, sensors_table, starts_table, steps_table
from scaling_tables import interrupted_table, scaling_table

from adaptive_mbrl.checkpoint import DESCRIPTION_FILE, find_checkpoint, read_description
from sim.benchmark.markdown import (
    COMPARISON,
    LEADERBOARD,
    about,
    comparison_rows,
    interval,
    leaderboard_rows,
    markdown_report,
    notes,
    table,
)
from sim.evaluation.summary import summarize

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = (
    "results.md",
    "adaptation.md",
    "data.md",
    "performance.md",
    "physics.md",
    "robot_machine.md",
    "robot_measured.md",
    "safety.md",
    "scaling.md",
    "training.md",
    "walker.md",
)
SHORT = ("never_worse", "multitask")
"""Reports of benchmarks that are shown with one line for each arm."""
LAST_NARROW = "36f922467660"
"""The last revision whose shipped checkpoints were each trained on one narrow split."""


def main() -> None:
    """Replace every marked part; a mark without a report is an error, but for evidence that is still to be measured."""
    for name in PAGES:
        path = DOCS / name
        text = path.read_text(encoding="utf-8")
        path.write_text(re.sub(r"<!-- begin (\S+) -->.*?<!-- end \1 -->", _replacement, text, flags=re.S), encoding="utf-8")


def _replacement(match: re.Match[str]) -> str:
    name = match.group(1)
    without_report = {"in_short": claims_table, "test_ledger": ledger_table, "budgets": budgets_table, "evidence": in_short}
    content = without_report[name]() if name in without_report else not_measured(name) or report_tables(name)
    return f"<!-- begin {name} -->\n{content}\n<!-- end {name} -->"


def report_tables(name: str) -> str:
    """What a report of docs/results says, as reports of its kind are shown."""
    report = read_report(name)
    if name in SHORT:
        return short_tables(report)
    make = next((make for key, make in TABLES.items() if key in report), tables)
    return make(report)


def read_report(name: str) -> dict[str, Any]:
    """A report; the figures of an evaluation are computed anew from its rewards, so that all reports have those of today."""
    report: dict[str, Any] = json.loads((DOCS / "results" / f"{name}.json").read_text(encoding="utf-8"))
    if "arms" in report:
        report["summary"] = summarize(report["arms"], report["scenarios"]) | {"open_loop_10": report["summary"]["open_loop_10"]}
    return report


def ledger_table() -> str:
    """The looks at held-out changes; those of committed reports that nobody wrote down are added."""
    with (DOCS / "results" / "test_ledger.csv").open(encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    for path in sorted((DOCS / "results").glob("*.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        # reports of earlier versions have no ledger, but their lines are in the file
        rows += [row for entry in report.get("ledger", []) if (row := [str(entry[name]) for name in head]) not in rows]
    return "\n".join(table(head, rows))


def budgets_table() -> str:
    """What the training of each shipped checkpoint had, and how long it took."""
    keys = ("env_steps", "branch_steps", "oracle_steps", "updates", "seconds")
    rows = []
    for name in sorted(path.parent.name for path in find_checkpoint("arm").parent.glob(f"*/{DESCRIPTION_FILE}")):
        about = read_description(name).provenance
        rows.append((f"`{name}`", f"`{about['scenarios']}`", *(f"{about[key]:,.0f}" for key in keys)))
    head = ("checkpoint", "trained on", "env steps", "branch steps", "oracle steps", "outer steps", "time [s]")
    return "\n".join(table(head, rows))


def benchmark_tables(report: dict[str, Any]) -> str:
    """What `adaptive-mbrl benchmark` found, one level of headings deeper."""
    return re.sub("^#", "##", markdown_report(report).partition("\n")[2].strip(), flags=re.M)


def short_tables(report: dict[str, Any]) -> str:
    """Arms and differences of a benchmark, each protocol's in one table with the others'."""
    protocols = report["protocols"]
    arms = [(protocol["name"], *row) for protocol in protocols for row in leaderboard_rows(protocol["leaderboard"])]
    pairs = [(protocol["name"], *row) for protocol in protocols for row in comparison_rows(protocol["comparisons"])]
    remarks = [f"\n- {note}" for note in notes(report)]
    return "\n".join(
        [about(report), *remarks, "", *table(("protocol", *LEADERBOARD), arms), "", *table(("protocol", *COMPARISON), pairs)]
    )


def claims_table() -> str:
    """The goals beside what was found. A goal is reached where the whole interval is beyond its bar, else at best on average."""
    protocols = {protocol["name"]: protocol for protocol in read_report("standard")["protocols"]}
    rows = []
    for goal, name, find, bar in CLAIMS:
        if name not in protocols:
            rows.append((goal, "not measured", "-", "-"))
            continue
        found, covers = find(protocols[name])
        below = find is time_to_late_level
        rows.append((goal, interval(found, 0 if below else 2), reached(found, bar, below=below), covers))
    return "\n".join(table(("goal", "found [95 %]", "reached?", "what the interval covers"), rows))


def reached(found: dict[str, Any], bar: float, *, below: bool) -> str:
    """Whether a figure is beyond its bar. A time is to be below it, everything else above it; an end of None is "never"."""
    if found["value"] is None:
        return "no figure"
    if not (found["value"] <= bar if below else found["value"] > bar):
        return "no"
    if found["ci95"] is None:
        return "on average; no interval"
    low, high = (float("inf") if end is None else end for end in found["ci95"])
    return "yes" if (high <= bar if below else low > bar) else "on average; the interval holds the bar"


Found = tuple[dict[str, Any], str]
NOTHING: Found = ({"value": None, "ci95": None}, "-")


def normalized_score(protocol: dict[str, Any], arm: str = "adaptive") -> Found:
    """The mean normalised score of an arm."""
    line = _leader(protocol, arm)
    return (line["normalized"]["mean"], _covered(line)) if line else NOTHING


def over_frozen(protocol: dict[str, Any]) -> Found:
    """By how much the normalised score of the adaptive arm is higher than that of the same model without adapting."""
    return _difference(protocol, "adaptive, frozen")


def over_multitask(protocol: dict[str, Any]) -> Found:
    """By how much it is higher than that of the multi-task model."""
    return _difference(protocol, "multitask")


def ratio_to_frozen(protocol: dict[str, Any]) -> Found:
    """The normalised score of the adaptive arm in multiples of the frozen one's; without an interval."""
    ours, frozen = (normalized_score(protocol, arm)[0]["value"] for arm in ("adaptive", "adaptive, frozen"))
    if ours is None or frozen is None:
        return NOTHING
    return {"value": ours / frozen if frozen > 0 else float("inf"), "ci95": None}, "no interval"


def time_to_late_level(protocol: dict[str, Any]) -> Found:
    """Control steps after the change until the adaptive arm is at 90 % of its own late level, the median."""
    line = _leader(protocol, "adaptive")
    return (line["steps_to_late_level"]["median"], _covered(line)) if line else NOTHING


def _leader(protocol: dict[str, Any], arm: str) -> dict[str, Any] | None:
    return next((line for line in protocol["leaderboard"] if line["arm"] == arm), None)


def _difference(protocol: dict[str, Any], theirs: str) -> Found:
    pair = next((c for c in protocol["comparisons"] if (c["ours"], c["theirs"]) == ("adaptive", theirs)), None)
    return (pair["normalized"], pair["covers"]) if pair else NOTHING


def _covered(line: dict[str, Any]) -> str:
    seeds = len(line["training_seeds"])
    return "episodes, planner noise" + (", training seeds" if seeds >= 3 else f"; not training seeds, of which there is {seeds}")


CHEETAH, DEAD = "half-cheetah, anything", "half-cheetah, held-out dead motor"
CHEETAH_KINDS = "half-cheetah, kinds of change that training never had"
QUADROTOR, CARTPOLE, ARM = "quadrotor, anything", "cart-pole, anything", "arm, payload and force"
CLAIMS: tuple[tuple[str, str, Callable[[dict[str, Any]], Found], float], ...] = (
    ("half-cheetah, held-out changes: normalised above 0.8", CHEETAH, normalized_score, 0.8),
    ("the same: more than 2 x frozen", CHEETAH, ratio_to_frozen, 2.0),
    ("the same: adaptive - frozen above 0", CHEETAH, over_frozen, 0.0),
    ("the same: adaptive - multitask above 0", CHEETAH, over_multitask, 0.0),
    ("the same: steps to 90 % of the late level at most 20", CHEETAH, time_to_late_level, 20.0),
    ("half-cheetah, unseen kinds of change: normalised above 0.8", CHEETAH_KINDS, normalized_score, 0.8),
    ("the same: adaptive - frozen above 0", CHEETAH_KINDS, over_frozen, 0.0),
    ("half-cheetah, held-out dead motor: normalised above 0.8", DEAD, normalized_score, 0.8),
    ("the same: adaptive - multitask above 0", DEAD, over_multitask, 0.0),
    ("quadrotor, held-out changes: normalised above 0.8", QUADROTOR, normalized_score, 0.8),
    ("the same: adaptive - frozen above 0", QUADROTOR, over_frozen, 0.0),
    ("the same: adaptive - multitask above 0", QUADROTOR, over_multitask, 0.0),
    ("the same: steps to 90 % of the late level at most 20", QUADROTOR, time_to_late_level, 20.0),
    ("cart-pole, held-out changes: normalised above 0.8", CARTPOLE, normalized_score, 0.8),
    ("the same: adaptive - frozen above 0", CARTPOLE, over_frozen, 0.0),
    ("the same: adaptive - multitask above 0", CARTPOLE, over_multitask, 0.0),
    ("the same: steps to 90 % of the late level at most 20", CARTPOLE, time_to_late_level, 20.0),
    ("arm, payload or force: normalised above 0.8", ARM, normalized_score, 0.8),
    ("the same: adaptive - multitask above 0", ARM, over_multitask, 0.0),
)
"""Goal in words, protocol of the suite `standard`, figure, and the bar."""


def tables(report: dict[str, Any]) -> str:
    """Arms, differences and open-loop error of one report."""
    summary, config = report["summary"], report["config"]
    machine = config["machine"]
    lines = [
        *(_training(arm, config["checkpoints"][arm], about) for arm, about in config["provenance"].items() if arm != "frozen"),
        "",
        f"{config['episodes']} episodes, seeds {config['seed']} to {config['seed'] + config['episodes'] - 1}; {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['torch_threads']} threads, {machine['device']}.",
        "",
        "| arm | return after change [95 %] | normalised: mean [95 %] | median | worst | IQM | 1-step error "
        "| steps to 80 % of the oracle |",
        "|---|---|---|---|---|---|---|---|",
    ]
    physics = config.get("physics", [])
    compared = [name for name in ("frozen", "multitask", *physics) if name in summary]
    lines += [_arm_row(name, summary[name]) for name in ("adaptive", *compared, "oracle", "random") if name in summary]
    columns = "return after the change [95 %] | more than before the change [95 %]"
    lines += ["", f"| difference, paired by seed | {columns} |", "|---|---|---|"]
    for other in compared:
        found = summary[f"adaptive_minus_{other}"]
        cells = (_interval(found[key], 1) for key in ("return_after_change", "after_minus_before"))
        lines.append(f"| adaptive - {other} | {' | '.join(cells)} |")
    open_loop = summary["open_loop_10"]
    if open_loop:
        arms = [n for n in ("adaptive", "frozen", "multitask") if n in open_loop]
        other = arms[-1]
        lines += ["", "| open-loop error, mean over 1 to 10 steps | " + " | ".join(arms) + f" | adaptive / {other} [95 %] |"]
        lines += ["|---" * (len(arms) + 2) + "|"]
        figures = " | ".join(f"{open_loop[n]:.3f}" for n in arms)
        lines += [f"| RMS over channels, in target stds | {figures} | {_interval(open_loop[f'adaptive_over_{other}'], 2)} |"]
    lines += ["", "| one robot alone | median | p99 |", "|---|---|---|"]
    for arm, key in itertools.product(("adaptive", *physics), ("adapt_ms", "plan_ms")):
        timing, what = report["arms"][arm][key], f"{arm}: {key}" if physics else key
        lines.append(f"| {what.removesuffix('_ms')} [ms] | {timing['median']:.1f} | {timing['p99']:.1f} |")
    return "\n".join(lines)


def ceiling_table(report: dict[str, Any]) -> str:
    """What `adaptation_ceiling.py` found."""
    figures = list(report["models"]["known"])
    lines = ["| model | " + " | ".join(f.replace("adapted_", "").replace("_", " ") for f in figures) + " |"]
    lines += ["|---" * (len(figures) + 1) + "|"]
    for name, values in report["models"].items():
        lines.append(f"| {name} | " + " | ".join(_number(values[f], 3) for f in figures) + " |")
    caption = (
        f"{report['updates']:,} updates on {report['episodes']} episodes of `{report['run']}`; errors on its held-out episodes."
    )
    return "\n".join([caption, "", *lines])


def rules_table(report: dict[str, Any]) -> str:
    """Every adaptation rule on the same episodes; errors in proportion to the multi-task model's where it is there."""
    rules = report["rules"]
    depth = min(len(figures["evidence"]) for figures in rules.values())
    evidence = next(iter(rules.values()))["evidence"][:depth]
    plain = rules.get("multi-task")
    rows = []
    for name, figures in rules.items():
        others = figures["other_changes"][:depth]
        gains = ("-", "-")
        if plain is not None and figures is not plain:
            pairs = (figures["held_out_episodes"], plain["held_out_episodes"]), (others[-1], plain["other_changes"][depth - 1])
            gains = tuple(f"{ours / theirs - 1:+.0%}" for ours, theirs in pairs)
        errors = [f"{error:.2f}" for error in others]
        rows.append((name, f"{figures['held_out_episodes']:.3f}", gains[0], *errors, gains[1], f"{figures['seconds']:,.0f}"))
    head = (
        "rule",
        "held-out episodes",
        "against multi-task",
        *(f"k = {k}" for k in evidence),
        "against multi-task",
        "training [s]",
    )
    about = (
        f"{report['updates']:,} updates on {report['episodes']:,} episodes of `{report['run']}`, members {report['members']}, "
        f"seed {report['seed']}; {report['other_episodes']} episodes under other changes; {report['machine']}, "
        f"{report['threads']} thread, beside other work."
    )
    return "\n".join([about, "", *table(head, rows)])


def gate_table(report: dict[str, Any]) -> str:
    """Errors of the beliefs from more or fewer transitions, soon after a change and otherwise."""
    rows = [(name, f"{e['soon']:.3f}", f"{e['else']:.3f}") for name, e in report["gate_errors"].items()]
    about = f"`{report['run']}`, {report['episodes']} held-out episodes."
    return "\n".join([about, "", *table(("belief from", "soon after a change", "else"), rows)])


def _training(arm: str, checkpoint: str, about: dict[str, Any]) -> str:
    """What a checkpoint cost, in one line."""
    steps = f"{about['env_steps']:,} env steps, {about['branch_steps']:,} branch steps"
    oracle = f", {about['oracle_steps']:,} steps simulated by the oracle" if about["oracle_steps"] else ""
    trained = f"trained at revision {about['git_revision']} in {about['seconds']:,.0f} s on {steps}{oracle}"
    return f"- {arm}: `{checkpoint}`, {trained}; {about['updates']:,} updates."


def _arm_row(name: str, arm: dict[str, Any]) -> str:
    score = arm["normalized_after_change"]
    steps = arm["steps_to_oracle"]
    reached = f"{_number(steps['median'], 0)} ({steps['never']} never)"
    cells = [
        name,
        _interval(arm["return_after_change"], 1),
        _interval(score, 2),
        *(_number(score[k], 2) for k in ("median", "worst", "iqm")),
        _number(arm["model_error_after_change"], 3),
        reached,
    ]
    return "| " + " | ".join(cells) + " |"


def _interval(value: dict[str, Any], digits: int) -> str:
    if value["mean"] is None:
        return "-"
    if value["ci95"] is None:
        return _number(value["mean"], digits)
    low, high = value["ci95"]
    return f"{value['mean']:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def latency_table(report: dict[str, Any]) -> str:
    """What the bridge adds, one row for each transport, with and without recording."""
    machine = report["runs"][0]["machine"]
    lines = [
        f"{report['numbers']} numbers at {report['rate_hz']:g} Hz; {machine['cpu']}, {machine['cores']} cores; times in ms.",
        "",
        "| transport | recording | round trip: median | p99 | max | inside the bridge: median | p99 | max | messages | lost |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run in report["runs"]:
        times = [f"{run[what][figure]:.2f}" for what in ("round_trip_ms", "inside_ms") for figure in ("median", "p99", "max")]
        recorded = "yes" if run["recorded"] else "no"
        lines.append(f"| {run['transport']} | {recorded} | {' | '.join(times)} | {run['messages']} | {run['lost']} |")
    return "\n".join(lines)


def bridge_table(report: dict[str, Any]) -> str:
    """Returns behind real middleware and in process."""
    summary, machine, runs = report["summary"], report["machine"], report["episodes"]
    missed = sum(int(re.search(r"(\d+) missed", run["bridge"]).group(1)) for run in runs)
    return "\n".join(
        [
            f"{report['scenario']}, {len(runs) // report['repeats']} episodes, each {report['repeats']} times over "
            f"{report['transport']} and under {len(report['in_process'])} seeds of the planner in process; {machine['cpu']}, "
            f"{machine['cores']} cores.",
            "",
            "| return after the change, over middleware [95 %] | in process | ratio | late plans | late commands | overruns |",
            "|---|---|---|---|---|---|",
            f"| {_interval(_named(summary['return_after_change']), 0)} | {_interval(_named(summary['in_process']), 0)} "
            f"| {_interval(_named(summary['ratio']), 2)} | {missed} of {sum(run['steps'] for run in runs)} "
            f"| {summary['late_commands']} | {summary['overruns']} |",
        ]
    )


def two_machines_table(report: dict[str, Any]) -> str:
    """What a network between robot and controller costs, one row for each line."""
    machine, rows = report["machine"], report["two_machines"]
    inside = sum(report["in_process"]) / len(report["in_process"])
    priority = "; all processes had real-time priority" if machine["real_time_priority"] else ""
    lines = [
        f"{report['scenario']}, {len(report['in_process'])} episodes for each line, return in process {inside:.0f}; "
        f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_1_min']:g} at the start{priority}; times in ms.",
        "",
        "| each way | round trip: median | p99 | lost | age of observations: median | p99 | late commands | missing commands "
        "| holds | time not on the plan | return | ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        found = row["summary"]
        times = [f"{1e3 * found[key]:.1f}" for key in ("round_trip_median", "round_trip_p99")]
        ages = [f"{1e3 * found[key]:.1f}" for key in ("age_median", "age_p99")]
        shares = [f"{found[key]:.1%}" for key in ("late_commands", "missing_commands")]
        ends = f"{found['holds']} | {found['held_share']:.1%} | {found['return']:.0f} | {found['return'] / inside:.2f}"
        cells = [*times, f"{found['round_trips_lost']:.1%}", *ages, *shares, ends]
        lines.append(f"| {row['setting']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def soak_table(report: dict[str, Any]) -> str:
    """A long run: what was counted, in two columns."""
    machine, loop, counts = report["machine"], report["control_loop"], report["counts"]
    growth = report["memory_growth"]
    rows = {
        "control periods": loop["steps"],
        "states": ", ".join(f"{state} {n}" for state, n in report["states"].items()),
        "late plans": loop["missed_deadlines"],
        "commands by the watchdog (stalls)": loop["stalls"],
        "overruns": loop["overruns"],
        "memory growth [MB/h], 95 %": f"{growth['mb_per_hour']} [{growth['low']}, {growth['high']}]" if growth else "-",
        "share of one core": report["processor_share"],
        **{key.replace("_", " "): value for key, value in counts.items()},
    }
    lines = [
        f"{report['minutes']:g} min, {1 / report['dt']:g} Hz; {machine['cpu']}, {machine['cores']} cores.",
        "",
        "| counted | |",
        "|---|---|",
    ]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())])


def _named(figure: list[Any]) -> dict[str, Any]:
    return {"mean": figure[0], "ci95": figure[1]}


def faults_table(report: dict[str, Any]) -> str:
    """How soon each fault was answered."""
    machine = report["machine"]
    lines = [
        f"Each {report['times']} times, control period {1e3 * report['dt']:g} ms; {machine['cpu']}, {machine['cores']} cores.",
        "",
        "| fault | sent by the node: median | max | at the actuators: max | commands that still followed the plan: max |",
        "|---|---|---|---|---|",
    ]
    for fault, row in report["faults"].items():
        figures = [row[f"periods_{which}"] for which in ("median", "max", "max_at_actuators")]
        # a planner that hangs may be noticed early, where deadlines had been missed before
        cells = [f"{figure:.2f}" if figure >= 0 else "before it was due" for figure in figures]
        followed = row["commands_that_still_followed_the_plan_max"]
        lines.append(f"| `{fault}` | {' | '.join(cells)} | {followed} |")
    return "\n".join(lines)


def latency_cost_table(report: dict[str, Any]) -> str:
    """What latency and fewer candidates cost, one row for each case."""
    lines = [
        f"`{report['robot']}`, {report['scenario']}, {report['episodes']} episodes from seed {report['seed']} on; lead and age "
        "of the observation in control periods.",
        "",
        "| lead | age | plan begins from | candidates | precision | return after the change [95 %] | ratio to the first [95 %] |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in report["latency_cases"]:
        start = {"observed": "the observation as it is", "predicted": "the model's prediction", "true": "the true state"}[
            case["start"]
        ]
        start = start if case["lead"] or case["age"] else "the observation"
        returns, ratio = _interval(_named(case["return_after_change"]), 0), _interval(_named(case["ratio"]), 2)
        how = f"{case['samples_share']:.0%} | {'bfloat16' if case['bfloat16'] else 'float32'}"
        lines.append(f"| {case['lead']:g} | {case['age']:g} | {start} | {how} | {returns} | {ratio} |")
    return "\n".join(lines)


def privileges_table(report: dict[str, Any]) -> str:
    """Trainings with and without privileges, one row each, and the returns of their collections."""
    first = report["seed"]
    lines = [
        f"`{report['scenario']}`, {report['episodes']} episodes, seeds {first} to {first + report['episodes'] - 1}; "
        f"{report['machine']['cpu']}.",
        "",
        "| training | env steps | branch steps | oracle steps | updates | time [s] | return after the change [95 %] "
        "| ratio to the first [95 %] |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, run in report["privileges"].items():
        counts = (f"{run[key]:,.0f}" for key in ("env_steps", "branch_steps", "oracle_steps", "updates", "seconds"))
        figures = _interval(_named(run["return_after_change"]), 1), _interval(_named(run["ratio"]), 2)
        lines.append(f"| {_trained_as(name, run['checkpoint'])} | {' | '.join(counts)} | {' | '.join(figures)} |")
    curves = {run["checkpoint"]: run.get("return_of_collections") for run in report["privileges"].values()}
    if any(curves.values()):
        lines += ["", "Mean return of each collection of a round, exploration included, at the env steps so far:", ""]
    for name, curve in curves.items():
        if curve:
            lines.append(f"- `{name}`: " + ", ".join(f"{value:.0f} at {steps:,}" for steps, value in curve))
    return "\n".join(lines)


def large_store_table(report: dict[str, Any]) -> str:
    """How fast windows come from a store that is larger than memory."""
    rows = {
        "transitions in the store": f"{report['transitions']:,} ({report['gigabytes']} GB, {report['episodes']:,} episodes)",
        "opened in": f"{report['start_up_seconds']} s",
        "statistics of all of it for the normalizer": f"{report['statistics_seconds']} s",
        "meta-batches drawn per second": f"{report['meta_batches_per_second']:.0f}",
        "meta-batches that the half-cheetah's training uses per second": f"{report['updates_per_second']:.1f}",
        "ratio": f"{report['ratio']:.0f}",
        "memory of the process for it": f"{report['memory_mib']} MiB, and {report['mapped_mib']} MiB of mapped files",
    }
    lines = [f"{report['machine']}, one thread, revision {report['git_revision']}.", "", "| | |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in rows.items()])


def overlap_table(report: dict[str, Any]) -> str:
    """Trainings that alternate and trainings with a collector, one row each."""
    machine = report["machine"]
    lines = [
        f"`{report['config']}` with `{' '.join(report['settings'])}`, training seeds {', '.join(map(str, report['seeds']))}; "
        f"{report['episodes']} episodes of `{report['scenario']}` each; {machine['cpu']}, {machine['cores']} cores, "
        f"load average {machine['load']}, revision {report['git_revision']}.",
        "",
        "| training | wall-clock time [s] | env steps | updates | staleness [updates] | return [95 %] | error, held-out |",
        "|---|---|---|---|---|---|---|",
    ]
    for way, run in report["overlap"].items():
        seconds = ", ".join(f"{value:.0f}" for value in run["seconds"])
        counts = f"{run['env_steps']:,} | {run['updates']:,} | {_number(run['staleness'], 0)}"
        errors = ", ".join(f"{value:.3f}" for value in run["error"])
        lines.append(f"| {way} | {seconds} | {counts} | {_interval(_named(run['return']), 1)} | {errors} |")
    return "\n".join(lines)


def _trained_as(name: str, checkpoint: str) -> str:
    """What a row is called. A report may be about an earlier checkpoint of a name that has another training today."""
    if not name.endswith(".json"):
        return f"`{checkpoint}`"
    about = json.loads((DOCS.parent / name).read_text(encoding="utf-8"))["config"]["provenance"]["adaptive"]
    today = read_description(checkpoint).provenance
    earlier = "" if today["git_revision"] == about["git_revision"] else f", shipped up to revision {LAST_NARROW}"
    return f"`{checkpoint}`, trained on `{about['scenarios']}`{earlier}"


def floods_table(report: dict[str, Any]) -> str:
    """What floods do to the bridge, and to a process that only receives, one row each."""
    machine = report["machine"]
    lines = [
        f"Control period {1e3 * report['dt']:g} ms, {report['seconds']:g} s each; {machine['cpu']}, {machine['cores']} cores, "
        f"load average {machine['load_1_min']} when it began: other work took most of both cores, and every row is worse for it.",
        "",
        "| bridge | flood | share of a core | longest time between two commands [periods] | commands | unsafe | holds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in report["floods"]:
        which = f"{row['bridge']}, `{row['flags']}`" if row["flags"] else row["bridge"]
        figures = (row[key] for key in ("processor_share", "longest_gap_periods", "commands", "unsafe", "holds"))
        lines.append(f"| {which} | {row['flood']} | {' | '.join(map(str, figures))} |")
    lines += [
        "",
        "A process that only receives, beside a thread that wants to run every 5 ms:",
        "",
        "| receiver | flood | written | decoded | processor time [s] | longest wait of the other thread [ms] |",
        "|---|---|---|---|---|---|",
    ]
    for row in report["receivers"]:
        figures = (row[key] for key in ("written", "decoded", "processor_seconds", "longest_pause_ms"))
        lines.append(f"| {row['bridge']} | {row['flood']} | {' | '.join(map(str, figures))} |")
    return "\n".join(lines)


def fuzz_table(report: dict[str, Any]) -> str:
    """What came of wrong messages."""
    machine, memory = report["machine"], report["peak_mib"]
    quiet, bound = report["quiet"], report["unsafe_share_below"]
    at_most = "" if bound is None else f"; with 95 % confidence less than {bound:.1e} of all"
    median, longest = (f"{report[f'recovery_seconds_{which}']:.1f} s" for which in ("median", "max"))
    sent = f"{report['fuzzed']:,}, {len(report['sent'])} kinds, at most {report['rate']:,.0f} in a second"
    rows = {
        "messages and packets sent": sent,
        "states decoded and refused by the bridge; most were replaced before": f"{report['taken']:,} and {report['refused']:,}",
        "participants that came and went, with types and qualities that do not fit": f"{report['visits']:,}",
        "commands of the bridge": f"{report['commands']:,}, one in {report['dt']:g} s and those of the watchdog",
        "unsafe ones: not finite, beyond a limit or a rate limit": f"{report['unsafe']}{at_most}",
        "the process at the end": "alive" if report["is_alive"] else "dead",
        "controls again after a burst": f"{median} in the median, {longest} at most",
        "holds": f"{report['holds']:,}",
        "largest memory": f"{quiet['peak_mib']} MiB before, {memory[0]} after the first burst, {memory[-1]} at the end",
        "lines on the terminal": f"{report['log_kib']:,} KiB",
        "processor": f"{report['processor_share']:g} of a core, {quiet['processor_share']:g} before",
        "longest time between two commands": f"{report['longest_gap_seconds']:g} s",
    }
    lines = [
        f"Bursts of {report['burst']:,}, seed {report['seed']}; {machine['cpu']}, {machine['cores']} cores, load average "
        f"{machine['load_1_min']} when it began: other work took most of both cores. Revision {machine['revision']}.",
        "",
        "| | |",
        "|---|---|",
    ]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in rows.items()])


TABLES = {
    "floods": floods_table,
    "fuzzed": fuzz_table,
    "privileges": privileges_table,
    "rules": rules_table,
    "gate_errors": gate_table,
    "benchmark": benchmark_tables,
    "models": ceiling_table,
    "memory_growth": soak_table,
    "rate_hz": latency_table,
    "imperfections": bridge_table,
    "two_machines": two_machines_table,
    "faults": faults_table,
    "conditions": reactions_table,
    "growth_per_million_steps": steps_table,
    "starts_and_stops": starts_table,
    "sensor_faults": sensors_table,
    "latency_cases": latency_cost_table,
    "meta_batches_per_second": large_store_table,
    "weak_scaling_of_two": scaling_table,
    "killed_often": interrupted_table,
    "overlap": overlap_table,
    "peak_flops": bench_tables,
}
"""How a report is shown, by a key that only reports of its kind have."""


if __name__ == "__main__":
    main()
