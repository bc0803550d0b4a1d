"""What the sub-commands do. `adaptive_mbrl/cli.py` parses the flags and turns errors into a line and an exit code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from adaptive_mbrl.checkpoint import find_checkpoint, shipped_checkpoints
from adaptive_mbrl.config import did_you_mean, read_mapping
from adaptive_mbrl.console import make_console
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.stored_objective import save_objective
from adaptive_mbrl.device import resolve_device
from adaptive_mbrl.dump import DUMP_FOLDER
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.options import CollectOptions, DemoOptions, EvaluateOptions, ReportOptions, SweepOptions, TrainOptions
from adaptive_mbrl.planning import ICEMConfig
from adaptive_mbrl.sweeps.command import run_sweep
from adaptive_mbrl.training.command import run_with_hints
from adaptive_mbrl.training.from_episodes import train_from_episodes
from adaptive_mbrl.training.report.command import write_pages
from adaptive_mbrl.training.seeds import train_seeds
from sim.demo import default_multitask, default_scenario, run_demo
from sim.episodes.policies import ControllerPolicy, OraclePolicy, Policy, RandomPolicy, load_controller
from sim.episodes.run import run_scenarios
from sim.evaluation.drawing_process import require_renderer
from sim.evaluation.episode_film import film_of
from sim.evaluation.evaluate import Evaluation
from sim.evaluation.evaluate import evaluate as run_evaluation
from sim.evaluation.first_episode import render_first_episode
from sim.evaluation.ledger import append_to_ledger, require_ledger
from sim.evaluation.plots import plot_recovery
from sim.evaluation.report import ledger_of, make_report, write_report
from sim.evaluation.setup import prepare
from sim.evaluation.summary import Report
from sim.evaluation.terminal import live_progress, print_report
from sim.paths import find_config
from sim.robot.loading import load_task
from sim.robot.robot import Robot
from sim.robot.task import RobotTask
from sim.scenarios.loading import load_scenario, load_training_part
from sim.scenarios.scenario import Scenario
from sim.simulation.base import Simulation
from sim.simulation.choice import require_mujoco
from sim.simulation.instability import SimulationError
from sim.training.config import load_train_config
from sim.training.overlapped import train_with_collectors

DEFAULT_STEPS = 200
ROBOTS_SIDE_BY_SIDE = 64


def demo(options: DemoOptions) -> None:
    """Change a robot's dynamics while it moves, and show how the controller adapts."""
    require_writable("--out", options.out / "report.json")
    run_demo(
        options.out,
        options.checkpoint,
        video=options.video,
        quick=options.quick,
        seed=options.seed,
        device=resolve_device(options.device),
        scenario=options.scenario or default_scenario(options.checkpoint),
        multitask=default_multitask(options.checkpoint),
    )


def train(options: TrainOptions) -> None:
    """Start or resume a training run in simulation, or on recorded episodes alone where `--set` takes the scenarios away."""
    assert options.config is not None
    if options.data is not None:
        find_config("train", options.config)
        raise _data_and_scenarios(options.config)
    config = load_train_config(options.config, options.settings)
    if options.seeds is not None:
        train_seeds(options, config)
        return
    device, collectors, engine = resolve_device(options.device), options.collectors, options.engine
    if config.scenarios is None:
        if collectors:
            raise ConfigError(
                "--collectors: there are no scenarios to simulate; allowed: no --collectors, or the key 'scenarios'"
            )
        run_with_hints(options, lambda run, execution: train_from_episodes(config, run, device, execution))
        return
    film = film_of(config.scenarios) if options.report else None
    run_with_hints(
        options, lambda run, execution: train_with_collectors(config, run, device, collectors, engine, execution), film
    )


def report(options: ReportOptions) -> None:
    """Write the pages of runs, with films of those that were simulated."""
    write_pages(options, lambda history: None if history.config.scenarios is None else film_of(history.config.scenarios))


def sweep(options: SweepOptions) -> None:
    """Begin a sweep of trainings in simulation, or go on with it."""
    assert options.config is not None
    path = find_config("train", options.config)
    if options.data is not None:
        raise _data_and_scenarios(options.config)
    scenarios = load_train_config(options.config, options.set).scenarios
    if scenarios is not None:
        # every trial would fail of a wrong name
        load_training_part(scenarios)
    run_sweep(options, read_mapping(path))


def _data_and_scenarios(config: str) -> ConfigError:
    return ConfigError(
        f"--data: {config} names scenarios, which need a simulator; "
        "allowed: a configuration without them, which says the reward in 'objective', or no --config"
    )


def evaluate(options: EvaluateOptions) -> None:
    """Compare the arms, print their table and write the files that were asked for."""
    outputs = {"--json": options.json, "--plot": options.plot, "--video": options.video, "--ledger": options.ledger}
    wanted = {flag: path for flag, path in outputs.items() if path is not None}
    for flag, path in wanted.items():
        require_writable(flag, path)
    if options.ledger is not None:
        require_ledger(options.ledger)
    setup = prepare(
        options.checkpoint,
        options.scenario,
        episodes=options.episodes,
        seed=options.seed,
        multitask=options.multitask,
        oracle=options.oracle,
        device=resolve_device(options.device),
        baselines=options.baselines,
        physics=options.physics,
        physics_error=options.physics_error,
        planner=options.planner,
    )
    if options.video is not None and isinstance(setup.robot, Robot):
        require_renderer("--video")
    for flag, path in wanted.items():
        make_folder_of(flag, path)
    with live_progress(make_console(stderr=True)) as begin_arm:
        evaluation = run_evaluation(setup, begin_arm)
    if options.ledger is not None:
        append_to_ledger(options.ledger, ledger_of(evaluation, options.reason))
    report = make_report(evaluation, options.reason)
    console = make_console()
    print_report(report, console)
    for path in _written(options, evaluation, report):
        console.print(f"Written: {path}", markup=False, soft_wrap=True)


def _written(options: EvaluateOptions, evaluation: Evaluation, report: Report) -> Iterator[Path]:
    """Write what an evaluation was asked for, and yield each file when it is complete."""
    if options.json is not None:
        write_report(options.json, report)
        yield options.json
    if options.plot is not None:
        plot_recovery(evaluation, options.plot)
        yield options.plot
    # the video comes last, because a renderer can fail
    if options.video is not None:
        with live_progress(make_console(stderr=True)) as begin:
            render_first_episode(evaluation, options.video, begin)
        yield options.video


def collect(options: CollectOptions) -> None:
    """Record episodes and append them to a store."""
    robot, scenarios = _scenarios_to_collect(options)
    policy = _collecting_policy(options, robot, scenarios[0])
    source = options.policy if options.policy in ("random", "oracle") else "policy"
    store = EpisodeStore.open(options.out, robot.spec)
    batches = [scenarios[i : i + ROBOTS_SIDE_BY_SIDE] for i in range(0, len(scenarios), ROBOTS_SIDE_BY_SIDE)]
    new: list[Episode] = []
    console = make_console(stderr=True)
    with live_progress(console) as begin:
        advance = begin(options.policy, len(batches) * scenarios[0].steps)

        def hook(step: int, simulation: Simulation) -> None:
            advance()

        def say(line: str) -> None:
            console.print(f"left out of the collection: {line}", markup=False, soft_wrap=True)

        for batch in batches:
            recorded = run_scenarios(robot, batch, policy, source=source, hook=hook, dump_folder=DUMP_FOLDER)
            recorded = recorded.without_unstable(say)
            if recorded.episodes:
                store.append(recorded.episodes)
                new += recorded.episodes
    if not new:
        raise SimulationError(f"{options.out}: nothing collected: the physics of all robots became unstable")
    if robot.objective is not None:
        save_objective(options.out, robot.objective)
    mean = sum(float(e.reward.sum()) for e in new) / len(new)
    print(f"{len(new)} episodes, {sum(map(len, new))} steps, mean return {mean:.1f}")
    if isinstance(policy, OraclePolicy):
        print(f"The oracle simulated {policy.steps_simulated} steps to choose its actions")
    print(f"{options.out}: {len(store.episodes)} episodes, {store.num_steps} steps")


def require_writable(flag: str, path: Path) -> None:
    """Refuse an output file that cannot be written, before hours are spent on its content."""
    folder = path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise _not_writable(flag, path)


def make_folder_of(flag: str, path: Path) -> None:
    """Make the folder of an output file; some file systems refuse only then."""
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(flag, path) from error


def _not_writable(flag: str, path: Path) -> ConfigError:
    return ConfigError(f"{flag}: {path} cannot be written; allowed: a file in a folder that you may write to")


def _scenarios_to_collect(options: CollectOptions) -> tuple[RobotTask, list[Scenario]]:
    if options.scenario is None:
        assert options.robot is not None, "the options make sure that there is one of the two"
        course = Scenario(options.robot, options.steps or DEFAULT_STEPS, name="nominal")
        return load_task(options.robot), course.episodes(options.episodes, options.seed or 0)
    found = load_scenario(options.scenario)
    if options.steps is not None:
        try:
            found = replace(found, steps=options.steps)
        except ConfigError as error:
            raise ConfigError(f"--steps: {options.steps} is too short for this scenario: {error}") from error
    seed = found.seed if options.seed is None else options.seed
    return load_task(found.robot), found.episodes(options.episodes, seed)


def _collecting_policy(options: CollectOptions, robot: RobotTask, first: Scenario) -> Policy:
    if options.policy == "random":
        return RandomPolicy(robot.spec, first.seed, first.steps)
    if options.policy == "oracle":
        require_mujoco(robot, "--policy oracle: it simulates its candidates from the robot's own state")
        if options.config is None:
            return OraclePolicy(robot.spec, ICEMConfig(), first.seed)
        config = load_train_config(options.config)
        return OraclePolicy(robot.spec, config.data.oracle_planner, first.seed, shaping=config.shaping)
    try:
        find_checkpoint(options.policy)
    except CheckpointError as error:
        hint = did_you_mean(options.policy, ("random", "oracle", *shipped_checkpoints()))
        raise ConfigError(
            f"--policy: got '{options.policy}'{hint}; allowed: random, oracle, or a checkpoint: a folder, or one of "
            f"{', '.join(shipped_checkpoints())}"
        ) from error
    return ControllerPolicy(load_controller(options.policy, robot, seed=first.seed, device=resolve_device(options.device)))
