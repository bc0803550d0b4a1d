"""The tables of the pages about the robot bridge, from reports of measurements of it."""

from __future__ import annotations

import re
from typing import Any

from cells import named, with_interval


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
            f"| {with_interval(named(summary['return_after_change']), 0)} | {with_interval(named(summary['in_process']), 0)} "
            f"| {with_interval(named(summary['ratio']), 2)} | {missed} of {sum(run['steps'] for run in runs)} "
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
        returns, ratio = with_interval(named(case["return_after_change"]), 0), with_interval(named(case["ratio"]), 2)
        how = f"{case['samples_share']:.0%} | {'bfloat16' if case['bfloat16'] else 'float32'}"
        lines.append(f"| {case['lead']:g} | {case['age']:g} | {start} | {how} | {returns} | {ratio} |")
    return "\n".join(lines)


def _load(machine: dict[str, Any]) -> str:
    """How busy the machine was at the beginning."""
    load = machine["load_1_min"]
    busy = ": other work took most of the cores, and every figure is worse for it" if load > machine["cores"] else ""
    return f"load average {load} when it began{busy}"


def floods_table(report: dict[str, Any]) -> str:
    """What floods do to the bridge, and to a process that only receives, one row each."""
    machine = report["machine"]
    lines = [
        f"Control period {1e3 * report['dt']:g} ms, {report['seconds']:g} s each; {machine['cpu']}, {machine['cores']} cores, "
        f"{_load(machine)}. Revision {machine['revision']}.",
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
        f"Bursts of {report['burst']:,}, seed {report['seed']}; {machine['cpu']}, {machine['cores']} cores, {_load(machine)}. "
        f"Revision {machine['revision']}.",
        "",
        "| | |",
        "|---|---|",
    ]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in rows.items()])
