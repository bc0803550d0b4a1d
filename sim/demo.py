"""The demonstration: while the half-cheetah runs, a motor dies that never failed in training, and the controller adapts."""

from __future__ import annotations

from pathlib import Path

import torch

from sim.evaluation.evaluate import evaluate
from sim.evaluation.plots import plot_recovery
from sim.evaluation.report import describe, make_report, write_report
from sim.evaluation.setup import prepare
from sim.evaluation.terminal import live_progress, make_console, print_report
from sim.evaluation.video import VideoError, render_first_episode

SCENARIO = "half_cheetah/cadm_cripple:test"
MULTITASK = "half_cheetah_multitask"
EPISODES = 4
"""Two episodes for each motor of the test part. All arms together have to take less than five minutes on two cores."""


def run_demo(
    out: Path,
    checkpoint: str,
    *,
    video: bool,
    seed: int,
    device: torch.device,
    scenario: str = SCENARIO,
    multitask: str | None = MULTITASK,
) -> None:
    """Run all arms and write report.json, recovery.png and rollout.mp4 to `out`.

    Args:
        out: folder of the files; those of an earlier demo are replaced.
        checkpoint: folder of the checkpoint, or name of a shipped one.
        video: whether to render rollout.mp4; without a renderer the demo says so and goes on.
        seed: seed of the first episode and of the planners.
        device: where the models run.
        scenario: file or name of the scenario.
        multitask: checkpoint of the multi-task arm; None for no such arm.
    """
    console, status = make_console(), make_console(stderr=True)
    setup = prepare(checkpoint, scenario, episodes=EPISODES, seed=seed, multitask=multitask, device=device)
    for i, course in enumerate(setup.scenarios):
        changes = "; ".join(f"step {c.at}: {describe(c.change)}" for c in course.changes)
        console.print(
            f"episode {i}: {setup.robot.name}, {course.steps} steps of {setup.robot.spec.dt:g} s; {changes}", markup=False
        )
    with live_progress(status) as begin_arm:
        evaluation = evaluate(setup, begin_arm)
    report = make_report(evaluation)
    print_report(report, console)
    write_report(out / "report.json", report)
    plot_recovery(evaluation, out / "recovery.png")
    written = ["report.json", "recovery.png"]
    if video:
        try:
            with live_progress(status) as begin:
                render_first_episode(evaluation, out / "rollout.mp4", begin)
            written.append("rollout.mp4")
        except VideoError as error:
            console.print(f"No video: {error}", markup=False, soft_wrap=True)
    console.print(f"Written: {', '.join(str(out / name) for name in written)}", markup=False, soft_wrap=True)
