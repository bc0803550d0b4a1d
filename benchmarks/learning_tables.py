"""The tables of the pages about learning and control, from reports of evaluations, trainings and benchmarks."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

from cells import named, number, with_interval

from adaptive_mbrl.checkpoint import read_description
from sim.benchmark.markdown import (
    COMPARISON,
    LEADERBOARD,
    about,
    comparison_rows,
    leaderboard_rows,
    markdown_report,
    notes,
    table,
)

DOCS = Path(__file__).resolve().parent.parent / "docs"
LAST_NARROW = "36f922467660"
"""The last revision whose shipped checkpoints were each trained on one narrow split."""


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
        cells = (with_interval(found[key], 1) for key in ("return_after_change", "after_minus_before"))
        lines.append(f"| adaptive - {other} | {' | '.join(cells)} |")
    open_loop = summary["open_loop_10"]
    if open_loop:
        arms = [n for n in ("adaptive", "frozen", "multitask") if n in open_loop]
        other = arms[-1]
        lines += ["", "| open-loop error, mean over 1 to 10 steps | " + " | ".join(arms) + f" | adaptive / {other} [95 %] |"]
        lines += ["|---" * (len(arms) + 2) + "|"]
        figures = " | ".join(f"{open_loop[n]:.3f}" for n in arms)
        lines += [f"| RMS over channels, in target stds | {figures} | {with_interval(open_loop[f'adaptive_over_{other}'], 2)} |"]
    lines += ["", "| one robot alone | median | p99 |", "|---|---|---|"]
    for arm, key in itertools.product(("adaptive", *physics), ("adapt_ms", "plan_ms")):
        timing, what = report["arms"][arm][key], f"{arm}: {key}" if physics else key
        lines.append(f"| {what.removesuffix('_ms')} [ms] | {timing['median']:.1f} | {timing['p99']:.1f} |")
    return "\n".join(lines)


def _training(arm: str, checkpoint: str, about: dict[str, Any]) -> str:
    """What a checkpoint cost, in one line."""
    steps = f"{about['env_steps']:,} env steps, {about['branch_steps']:,} branch steps"
    oracle = f", {about['oracle_steps']:,} steps simulated by the oracle" if about["oracle_steps"] else ""
    trained = f"trained at revision {about['git_revision']} in {about['seconds']:,.0f} s on {steps}{oracle}"
    return f"- {arm}: `{checkpoint}`, {trained}; {about['updates']:,} updates."


def _arm_row(name: str, arm: dict[str, Any]) -> str:
    score = arm["normalized_after_change"]
    steps = arm["steps_to_oracle"]
    reached = f"{number(steps['median'], 0)} ({steps['never']} never)"
    cells = [
        name,
        with_interval(arm["return_after_change"], 1),
        with_interval(score, 2),
        *(number(score[k], 2) for k in ("median", "worst", "iqm")),
        number(arm["model_error_after_change"], 3),
        reached,
    ]
    return "| " + " | ".join(cells) + " |"


def ceiling_table(report: dict[str, Any]) -> str:
    """What `adaptation_ceiling.py` found."""
    errors = {name: figures["errors"] for name, figures in report["models"].items()}
    steps = list(errors["known"])
    rows = []
    for name, figures in report["models"].items():
        rules = ", then ".join(f"`{tag}`" for rule in figures["adaptation"] for tag in rule)
        closed = [_share_of_gap(*(errors[model][step] for model in ("multitask", name, "known"))) for step in steps]
        rows.append((name, rules, *(f"{errors[name][step]:.3f}" for step in steps), ", ".join(closed)))
    about = (
        f"{report['updates']:,} updates on {report['episodes']:,} episodes of `{report['run']}`, members {report['members']}, "
        f"seed {report['seed']}; {report['windows']:,} windows of its held-out episodes; {report['machine']}, "
        f"{report['threads']} thread, revision {report['git_revision']}."
    )
    ahead = [f"{step} steps ahead" if step != "1" else "1 step ahead" for step in steps]
    return "\n".join([about, "", *table(("model", "rule", *ahead, "part of the gap that is closed"), rows)])


def _share_of_gap(plain: float, error: float, known: float) -> str:
    return f"{(plain - error) / (plain - known):.0%}" if plain > known else "-"


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


def physics_errors_table(report: dict[str, Any]) -> str:
    """Open-loop errors of physics alone and with a residual, by robot, MJCF and noise."""
    rows = [
        (
            row["robot"],
            row["mjcf"],
            f"{row['noise']:g}",
            *(with_interval(named(row[key]), 3) for key in ("physics", "hybrid")),
            with_interval(named(row["ratio"]), 2),
        )
        for row in report["physics_errors"]
    ]
    about = f"{report['episodes']} episodes each; {report['machine']['cpu']}, revision {report['machine']['revision']}."
    head = ("robot", "MJCF", "noise", "physics [95 %]", "hybrid [95 %]", "hybrid / physics [95 %]")
    return "\n".join([about, "", *table(head, rows)])


def gate_table(report: dict[str, Any]) -> str:
    """Errors of the beliefs from more or fewer transitions, soon after a change and otherwise."""
    rows = [(name, f"{e['soon']:.3f}", f"{e['else']:.3f}") for name, e in report["gate_errors"].items()]
    about = f"`{report['run']}`, {report['episodes']} held-out episodes."
    return "\n".join([about, "", *table(("belief from", "soon after a change", "else"), rows)])


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
        figures = with_interval(named(run["return_after_change"]), 1), with_interval(named(run["ratio"]), 2)
        lines.append(f"| {_trained_as(name, run['checkpoint'])} | {' | '.join(counts)} | {' | '.join(figures)} |")
    curves = {run["checkpoint"]: run.get("return_of_collections") for run in report["privileges"].values()}
    if any(curves.values()):
        lines += ["", "Mean return of each collection of a round, exploration included, at the env steps so far:", ""]
    for name, curve in curves.items():
        if curve:
            lines.append(f"- `{name}`: " + ", ".join(f"{value:.0f} at {steps:,}" for steps, value in curve))
    return "\n".join(lines)


def _trained_as(name: str, checkpoint: str) -> str:
    """What a row is called. A report may be about an earlier checkpoint of a name that has another training today."""
    if not name.endswith(".json"):
        return f"`{checkpoint}`"
    about = json.loads((DOCS.parent / name).read_text(encoding="utf-8"))["config"]["provenance"]["adaptive"]
    today = read_description(checkpoint).provenance
    earlier = "" if today["git_revision"] == about["git_revision"] else f", shipped up to revision {LAST_NARROW}"
    return f"`{checkpoint}`, trained on `{about['scenarios']}`{earlier}"


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
        counts = f"{run['env_steps']:,} | {run['updates']:,} | {number(run['staleness'], 0)}"
        errors = ", ".join(f"{value:.3f}" for value in run["error"])
        lines.append(f"| {way} | {seconds} | {counts} | {with_interval(named(run['return']), 1)} | {errors} |")
    return "\n".join(lines)


def leads_table(report: dict[str, Any]) -> str:
    """By how much arms were ahead before and after the change; for a report from before benchmarks computed that difference.

    What was earned before is known from mean curves only, whose last steps before the change stand for the time before.
    """
    rows = []
    for protocol in report["protocols"]:
        for pair in protocol["comparisons"]:
            after, before = pair["return_after_change"]["value"], _lead_before(protocol["scenarios"], pair)
            if after is not None and before is not None:
                words = f"{pair['ours']} - {pair['theirs']}"
                rows.append((protocol["name"], words, *(f"{x:+.0f}" for x in (after, before, after - before))))
    head = ("protocol", "difference", "after the change", "before, about", "grew by, about")
    return "\n".join(table(head, rows))


def _lead_before(scenarios: list[dict[str, Any]], pair: dict[str, Any]) -> float | None:
    """The lead in reward per step in the curves' steps before the last change, times the steps after it; the mean over scenarios.

    None where a curve is missing, or has no step before.
    """
    leads = []
    for scenario in scenarios:
        steps, curves = scenario["recovery"]["steps"], scenario["recovery"]["arms"]
        if pair["ours"] not in curves or pair["theirs"] not in curves or steps[0] >= 0:
            return None
        ours, theirs = (curves[pair[side]]["mean"] for side in ("ours", "theirs"))
        lead = [a - b for step, a, b in zip(steps, ours, theirs, strict=True) if step < 0]
        # curves of long episodes have every second step, or every third
        length = 2 * steps[-1] - steps[-2]
        leads.append(length * sum(lead) / len(lead))
    return sum(leads) / len(leads)


def short_tables(report: dict[str, Any]) -> str:
    """Arms and differences of a benchmark, each protocol's in one table with the others'."""
    protocols = report["protocols"]
    arms = [(protocol["name"], *row) for protocol in protocols for row in leaderboard_rows(protocol["leaderboard"])]
    pairs = [(protocol["name"], *row) for protocol in protocols for row in comparison_rows(protocol["comparisons"])]
    remarks = [f"\n- {note}" for note in notes(report)]
    compared = ["", *table(("protocol", *COMPARISON), pairs)] if pairs else []
    return "\n".join([about(report), *remarks, "", *table(("protocol", *LEADERBOARD), arms), *compared])


def benchmark_tables(report: dict[str, Any]) -> str:
    """What `adaptive-mbrl benchmark` found, one level of headings deeper."""
    return re.sub("^#", "##", markdown_report(report).partition("\n")[2].strip(), flags=re.M)
