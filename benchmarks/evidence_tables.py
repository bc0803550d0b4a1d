"""The tables of the evidence on the bridge; one that is not measured yet says by which command it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sim.benchmark.markdown import table

RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results"
COMMANDS = {
    "guard_kills": "python -m benchmarks.guard_kills",
    "soak_steps": "python -m benchmarks.bridge_soak --steps 1080000",
    "soak_steps_unrecorded": "python -m benchmarks.bridge_soak --steps 1080000 --no-record",
    "starts_and_stops": "python -m benchmarks.starts_and_stops",
    "sensor_faults": "python -m benchmarks.sensor_faults",
    "delays": "adaptive-mbrl benchmark --suite delays",
    "delays_elsewhere": "adaptive-mbrl benchmark --suite delays_elsewhere",
    "reversals": "adaptive-mbrl benchmark --suite reversals",
    "reversals_elsewhere": "adaptive-mbrl benchmark --suite reversals_elsewhere",
    "adaptation_ceiling": "python benchmarks/adaptation_ceiling.py runs/train/quadrotor",
}
"""Reports that may be missing, and what makes them."""


def not_measured(name: str) -> str | None:
    """What to say instead of a table; None where the report is there."""
    if name not in COMMANDS or (RESULTS / f"{name}.json").exists():
        return None
    return f"Not measured yet: `{COMMANDS[name]}`."


def in_short() -> str:
    """What each piece of evidence shows, in one line; those without a report say so."""
    rows = [(title, _short(name, say)) for title, name, say in SHORT]
    return "\n".join(["| evidence | found |", "|---|---|", *(f"| {title} | {found} |" for title, found in rows)])


def _short(name: str, say: Any) -> str:
    path = RESULTS / f"{name}.json"
    found = say(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
    return found or "not measured yet"


def _all_figures(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [figures for faults in report.get("conditions", {}).values() for figures in faults.values()]


def _say_reactions(report: dict[str, Any]) -> str | None:
    figures = _all_figures(report)
    if not figures:
        return None
    in_time, of = (sum(f["in_time"][key] for f in figures) for key in ("count", "of"))
    unsafe, commands = (sum(f["unsafe"][key] for f in figures) for key in ("count", "of"))
    return f"{in_time} of {of} in time; {unsafe} unsafe of {commands:,} commands"


def _say_soak(report: dict[str, Any]) -> str | None:
    growth = report.get("growth_per_million_steps", {}).get("memory_mb")
    if growth is None:
        return None
    steps = int(report["control_loop"]["steps"])
    return f"{growth['mean']:.2f} MB [{growth['low']:.2f}, {growth['high']:.2f}] in a million control periods, over {steps:,}"


def _say_starts(report: dict[str, Any]) -> str:
    left = report["starts_and_stops"]["left_behind"]
    return f"{report['starts_and_stops']['times']} starts leave behind: " + ", ".join(
        f"{count} {name.replace('_', ' ')}" for name, count in left.items()
    )


def _say_sensors(report: dict[str, Any]) -> str:
    robots = report["sensor_faults"].values()
    alarms = sum(alarm["events"] for robot in robots for alarm in robot["false_alarms"].values())
    hours = sum(robot["healthy_hours"] for robot in robots)
    lies = [lie for robot in robots for lie in robot["lies"].values()]
    told, of = (sum(lie[key] for lie in lies) for key in ("told", "of"))
    return f"{alarms} false alarms in {hours:.1f} h; {told} of {of} lies told"


SHORT = (
    ("the safe action comes in time after each fault", "bridge_faults", _say_reactions),
    ("the guard answers when the controller dies", "guard_kills", _say_reactions),
    ("memory does not grow over 12 hours of control periods", "soak_steps", _say_soak),
    ("nothing is left behind by starts and stops", "starts_and_stops", _say_starts),
    ("sensors that lie are told, healthy ones are not", "sensor_faults", _say_sensors),
)
"""Claim, report, and the function that says in short what was found."""


def reactions_table(report: dict[str, Any]) -> str:
    """How soon each fault was answered, by condition."""
    machine = report["machine"]
    lines = [
        f"Each {report['times']} times at random phases of the loop, control period {1e3 * report['dt']:g} ms; {machine['cpu']}, "
        f"{machine['cores']} cores. Times in control periods, by an independent observer; intervals of 95 %.",
        "",
        "| condition | fault | median | p99 | max | allowed | in time | unsafe commands |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for condition, faults in report["conditions"].items():
        for name, row in faults.items():
            figures = [row["observed"][key] for key in ("p50", "p99", "max")]
            times = " | ".join("-" if figure is None else f"{figure:.2f}" for figure in figures)
            in_time = f"{row['in_time']['count']} of {row['in_time']['of']} (at least {row['in_time']['share_95'][0]:.1%})"
            unsafe = f"{row['unsafe']['count']} of {row['unsafe']['of']:,} (at most {row['unsafe']['share_95'][1]:.2%})"
            lines.append(f"| {condition} | `{name}` | {times} | {row['allowed']} | {in_time} | {unsafe} |")
    return "\n".join(lines)


def steps_table(report: dict[str, Any]) -> str:
    """What grew in a million control periods."""
    machine, loop = report["machine"], report["control_loop"]
    lines = [
        f"{int(loop['steps']):,} control periods of {1e3 * report['dt']:g} ms in {report['seconds'] / 60:.0f} min, "
        f"{'with' if report['record'] else 'without'} a recording; {machine['cpu']}, {machine['cores']} cores.",
        "",
        "| growth in a million control periods | mean [95 %] | median of slopes (Theil-Sen) |",
        "|---|---|---|",
    ]
    for name, found in report["growth_per_million_steps"].items():
        cells = (
            "- | -" if found is None else f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}] | {found['slope']:.3f}"
        )
        lines.append(f"| {name.replace('_mb', ' [MB]')} | {cells} |")
    return "\n".join(lines)


def starts_table(report: dict[str, Any]) -> str:
    """What starts and stops leave behind."""
    found, whole, machine = report["starts_and_stops"], report["processes"], report["machine"]
    memory = found["memory_mb_per_start"]
    growth = "-" if memory is None else f"{memory['mean']:.3f} [{memory['low']:.3f}, {memory['high']:.3f}]"
    rows = {
        **{f"{name.replace('_', ' ')} left behind": count for name, count in found["left_behind"].items()},
        "memory [MB per start], 95 %": growth,
        f"exit codes of {whole['times']} whole processes": ", ".join(map(str, whole["exit_codes"])),
        "shared memory that they left": whole["shared_memory_left"],
    }
    lines = [
        f"{found['times']} starts and stops in one process; {machine['cpu']}, {machine['cores']} cores.",
        "",
        "| | |",
        "|---|---|",
    ]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())])


def sensors_table(report: dict[str, Any]) -> str:
    """False alarms and what is told of each lie, by robot."""
    lines = [
        "| robot | healthy [h] | false alarms | per hour [95 %] | extrapolated per hour | lie | told "
        "| steps until told: median | max | first told by |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for robot, found in report["sensor_faults"].items():
        alarms = found["false_alarms"]
        count = sum(alarm["events"] for alarm in alarms.values())
        rate, low, high = found["all_per_hour"]
        tails = found["extrapolated_per_hour"].values()
        expected = f"{sum(tails):.2g}" if tails else "-"
        about = f"{found['healthy_hours']:.2f} | {count} | {rate:.1f} [{low:.1f}, {high:.1f}] | {expected}"
        for lie, row in found["lies"].items():
            steps = " | ".join("-" if row[key] is None else f"{row[key]:.0f}" for key in ("steps_median", "steps_max"))
            first = ", ".join(f"{kind} {number}" for kind, number in row["first_told_by"].items()) or "-"
            lines.append(f"| {robot} | {about} | {lie} | {row['told']} of {row['of']} | {steps} | {first} |")
            robot, about = "", " | | | "
    return "\n".join(lines)


def reversal_alarms_table(report: dict[str, Any]) -> str:
    """Warnings of motors that work backwards, and of others, by robot."""
    head = ("robot", "time [h]", "false alarms", "per hour [95 %]", "reversed motors", "told [95 %]")
    rows = []
    for robot, found in report["reversal_alarms"].items():
        rate, low, high = found["false_per_hour"]
        least, most = found["share_95"]
        told = f"{found['told']} [{least:.0%}, {most:.0%}]" if found["reversed"] else "-"
        steps = ("-" if found["steps"][key] is None else f"{found['steps'][key]:.0f}" for key in ("p50", "max"))
        alarms = (f"{found['hours']:.2f}", str(found["false_alarms"]), f"{rate:.1f} [{low:.1f}, {high:.1f}]")
        rows.append((robot, *alarms, str(found["reversed"]), told, *steps))
    about = f"{report['episodes']} episodes of each of two validation parts."
    return "\n".join([about, "", *table((*head, "steps until told: median", "max"), rows)])
