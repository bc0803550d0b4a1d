"""The tables of docs/scaling.md: trainings that were interrupted, and where the time of an outer step goes."""

from __future__ import annotations

import math
from typing import Any

PARTS = ("compute", "sampling", "all_reduce")

GPU_COMPUTE_MS = 3.0
"""Assumed time of a step's compute on a GPU: the launches of some hundred small kernels, whatever their size."""
WINDOWS_PER_GPU = 128
PARAMETERS = 470_000
NODE = 8
"""GPUs of a machine."""
IN_NODE = (20e-6, 300e9)
BETWEEN_NODES = (30e-6, 25e9)
"""Latency of a message [s] and bytes per second, within a machine and between machines; assumed."""
DISK_READ_S = 100e-6
"""Assumed time of a read from a local solid-state disk, where windows are not in memory; one window is one read."""
TRANSITIONS = 1e11
STATISTICS_PER_TRANSITION_S = 43 / 5e7
"""Measured; see docs/data.md."""
EPISODE_STEPS, EPISODE_BYTES = 200, 1000
"""Steps of an episode, and what the index of the store keeps of it in memory."""


def interrupted_table(report: dict[str, Any]) -> str:
    """Trainings that were killed or spread over processes beside undisturbed ones."""
    lines = [
        f"{report['machine']}, one thread for each process, revision {report['git_revision']}.",
        "",
        "| training | validation loss | killed | saves that were lost | weights of the undisturbed one |",
        "|---|---|---|---|---|",
    ]
    for seed, about in enumerate(report["seeds"]):
        lines.append(f"| one process, seed {seed}, undisturbed | {about['validation_loss']:.4f} | 0 | | |")
    lines.append(f"| two processes, seed 0 | {report['two_processes']['validation_loss']:.4f} | 0 | | |")
    for about in [*report["killed"], *report["killed_often"]]:
        same = "to the bit" if about["same_weights"] else "others"
        lines.append(
            f"| one process, seed 0, killed and started again | {about['validation_loss']:.4f} | {about['kills']} times | "
            f"{about['lost_what_was_saved']} | {same} |"
        )
    return "\n".join(lines)


def scaling_table(report: dict[str, Any]) -> str:
    """The measured parts of a step, the model of its time, and what the model says of larger machines."""
    lines = [
        f"{report['machine']}, {report['cores']} cores, one thread for each process, means of {report['steps']} steps, revision "
        f"{report['git_revision']}.",
        "",
        "| processes | windows of each | transitions | layers | step [ms] | compute | sampling | all-reduce and waiting |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"{_case(c)} {c['step_ms']:.1f} | {c['compute_ms']:.1f} | {c['sampling_ms']:.2f} | {c['all_reduce_ms']:.1f} |"
        for c in report["cases"]
    ]
    (constant, window, product), (sampled,), (message, reduced) = (report["coefficients"][part] for part in PARTS)
    lines += [
        "",
        f"Weak scaling of two processes (64 windows each, against one with 64): {report['weak_scaling_of_two']:.2f}.",
        "",
        "A model of the parts [ms], with w windows for each of R processes, P parameters and C cores, fitted to some cases:",
        "",
        "```",
        f"compute    = max(1, R / C) ({constant:.3g} + w ({window:.3g} + {product:.3g} P))",
        f"sampling   = max(1, R / C) {sampled:.3g} w",
        f"all-reduce = [R > 1] ({message:.3g} + {reduced:.3g} R P)",
        "```",
        "",
        "Cases that it was not fitted to:",
        "",
        "| processes | windows of each | transitions | layers | measured [ms] | predicted [ms] |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"{_case(c)} {c['step_ms']:.1f} | {c['predicted_ms']:.1f} |" for c in report["tested"]]
    return "\n".join([*lines, "", *_extrapolation(report)])


def _case(case: dict[str, Any]) -> str:
    """The first cells of a row."""
    return f"| {case['processes']} | {case['windows']} | {case['transitions']:,} | 3 x {case['width']} |"


def _extrapolation(report: dict[str, Any]) -> list[str]:
    """Rows for 8, 64 and 512 GPUs."""
    lines = [
        "| GPUs | compute [ms] | all-reduce [ms] | windows from memory [ms] | windows from disk [ms] | windows per second |",
        "|---|---|---|---|---|---|",
    ]
    memory = WINDOWS_PER_GPU * max(c["sampling_ms"] / c["windows"] for c in report["cases"] if c["processes"] == 1)
    disk = 1e3 * WINDOWS_PER_GPU * DISK_READ_S
    for gpus in (8, 64, 512):
        reduced = all_reduce_ms(gpus)
        rate = gpus * WINDOWS_PER_GPU / (GPU_COMPUTE_MS + reduced + disk) * 1e3
        lines.append(f"| {gpus} | {GPU_COMPUTE_MS:.0f} | {reduced:.2f} | {memory:.1f} | {disk:.0f} | {rate:,.0f} |")
    hours = TRANSITIONS * STATISTICS_PER_TRANSITION_S / 3600
    gigabytes = TRANSITIONS / EPISODE_STEPS * EPISODE_BYTES / 1e9
    return [
        *lines,
        "",
        f"For 1e11 transitions (10 TB), one process would need {hours:.0f} h for the normalizer's statistics, and "
        f"{gigabytes:.0f} GB of memory for the index of its episodes.",
    ]


def all_reduce_ms(gpus: int) -> float:
    """A ring within each machine, then a tree between machines."""
    size = 4 * PARAMETERS
    latency, bandwidth = IN_NODE
    seconds = latency + 2 * size / bandwidth
    if gpus > NODE:
        latency, bandwidth = BETWEEN_NODES
        seconds += 2 * math.log2(gpus / NODE) * latency + 2 * size / bandwidth
    return 1e3 * seconds
