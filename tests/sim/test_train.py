"""A training run: whatever interrupts it, the end is the same, to the bit, and no moment leaves an unreadable run."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import adaptive_mbrl.training.run as run_module
from adaptive_mbrl.adaptation import make_adapter
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.config import load_yaml
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.weighting import WeightingConfig
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.errors import AdaptiveMBRLError, CheckpointError, ConfigError
from adaptive_mbrl.meta.reset import ResetConfig
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from adaptive_mbrl.planning import CVaRRiskConfig, GradientPlannerConfig, ICEMConfig
from adaptive_mbrl.planning.value import ValueConfig, ValueFunction
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.data_config import DataConfig
from adaptive_mbrl.training.execution import Execution
from adaptive_mbrl.training.rounds import RoundRecord
from adaptive_mbrl.training.run_folder import RunFolderError
from sim.episodes.policies import OraclePolicy
from sim.robot.robot import load_robot
from sim.scenarios.loading import load_scenario
from sim.simulation.batch import BatchSimulation
from sim.training.config import load_train_config
from sim.training.train import open_training, train
from tests.core.together import ThreadProcess, together

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
TINY = TrainConfig(
    "cartpole/mass_gain:train",
    seed=1,
    model=ModelConfig(hidden=(8,), members=2, context_dim=2),
    window=4,
    outer=OuterConfig(query=2, meta_batch_size=8, validation_windows=8),
    planner=ICEMConfig(horizon=4, num_samples=8, num_elites=3, num_elites_kept=1),
    data=DataConfig(
        steps=12,
        random_episodes=3,
        oracle_episodes=2,
        oracle_planner=ICEMConfig(horizon=3, num_samples=6, num_elites=2, num_elites_kept=1),
        iterations=2,
        episodes_per_iteration=3,
        branches_per_state=1,
        validation_fraction=0.34,
    ),
    updates_initial=3,
    updates_per_iteration=3,
    updates_final=2,
)
ROUNDS = 4


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing interrupted; do not change it."""
    run = tmp_path_factory.mktemp("finished") / "run"
    train(TINY, run)
    return run


def assert_same_end(run: Path, wanted: Path) -> None:
    """Same model, optimiser, random state and episodes, to the bit."""
    for file in ("checkpoint/weights.safetensors", f"rounds/{ROUNDS - 1:03d}/trainer.safetensors"):
        got, expected = load_file(run / file), load_file(wanted / file)
        assert got.keys() == expected.keys()
        for name, tensor in expected.items():
            assert torch.equal(got[name], tensor), f"{file}: {name}"
    got, expected = (EpisodeStore.open(r / "episodes").episodes for r in (run, wanted))
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert a.tags == b.tags
        for name in ("obs", "action", "reward"):
            assert np.array_equal(getattr(a, name), getattr(b, name))


def first_round(config: TrainConfig, run: Path) -> None:
    """Begin a run and end after its first round."""
    with open_training(config, run, CPU) as training:
        training.run_round(0)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# --- what a run leaves --------------------------------------------------------------------------------------------------------


def test_a_finished_run_holds_all_that_its_folder_promises(finished: Path):
    last = finished / "rounds" / f"{ROUNDS - 1:03d}"

    assert load_yaml(finished / "config.yaml", TrainConfig) == TINY
    assert (finished / "git_revision.txt").read_text().strip()
    assert list((finished / "tensorboard").glob("events*"))
    assert sorted(p.name for p in (finished / "rounds").iterdir()) == [f"{i:03d}" for i in range(ROUNDS)]
    assert contents(finished / "checkpoint").keys() == {"checkpoint.yaml", "weights.safetensors", "canary.safetensors"}
    assert contents(finished / "checkpoint").items() <= contents(last).items()
    record = load_yaml(last / "round.yaml", RoundRecord)
    assert record.env_steps == (3 + 2 + 2 * 3) * 12
    assert record.updates == 3 + 3 + 3 + 2
    assert record.oracle_steps == 2 * 12 * 6 * 3 * 2
    assert record.branch_steps > 0
    for scalar in ("validation/adapted_loss", "validation/prior_loss", "gradient/cosine"):
        assert scalar in record.scalars
    assert "rank_correlation/4_steps" in load_yaml(finished / "rounds" / "001" / "round.yaml", RoundRecord).scalars


def test_the_checkpoint_controls_the_robot_it_was_trained_on(finished: Path):
    simulation = BatchSimulation(load_robot("cartpole"), 2)
    controller = AdaptiveController.load(finished / "checkpoint", spec=simulation.robot.spec)

    action = controller.step(simulation.obs).action

    assert simulation.step(action).shape == (2, 4)


def test_the_statistics_in_the_checkpoint_are_those_of_all_training_episodes(finished: Path):
    """Not of the newest batch, and not of the episodes held out for validation."""
    episodes = EpisodeStore.open(finished / "episodes").episodes
    held_out = [e for e in episodes if e.tags["validation"]]
    obs = np.concatenate([e.obs[e.history : -1] for e in episodes if not e.tags["validation"]])

    normalizer = load_checkpoint(finished / "checkpoint").adapter.normalizer

    assert 0 < len(held_out) < len(episodes) / 2
    np.testing.assert_allclose(normalizer.obs_mean, obs.mean(0), atol=1e-5)
    np.testing.assert_allclose(normalizer.obs_std, obs.std(0), rtol=1e-4)


def test_the_first_controller_of_a_round_has_the_weights_that_were_fitted(finished: Path):
    with open_training(TINY, finished, CPU) as training:
        controller = training.controller(seed=0)

    fitted = load_file(finished / "rounds" / f"{ROUNDS - 1:03d}" / "weights.safetensors")
    for name, tensor in controller.settings.adapter.state_dict().items():
        assert torch.equal(tensor, fitted[name])


def test_training_episodes_differ_in_their_dynamics(finished: Path):
    episodes = EpisodeStore.open(finished / "episodes").episodes

    changes = {str(e.tags["scenario"]["changes"]) for e in episodes if e.tags["source"] != "branch"}

    assert len(changes) >= 6


# --- interruptions ------------------------------------------------------------------------------------------------------------


class Interruption(KeyboardInterrupt):
    """Ctrl-C, at a moment that the test chooses."""


def interrupt_call(patch: pytest.MonkeyPatch, owner: object, name: str, number: int) -> None:
    """Ctrl-C at the n-th call."""
    fail_call(patch, owner, name, number, Interruption())


def fail_call(patch: pytest.MonkeyPatch, owner: object, name: str, number: int, error: BaseException) -> None:
    """Raise an error at the n-th call."""
    original: Callable[..., object] = getattr(owner, name)
    calls = 0

    def failing(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == number:
            raise error
        return original(*args, **kwargs)

    patch.setattr(owner, name, failing)


MOMENTS = {
    "fitting in round 0": (MetaTrainer, "step", 2),
    "collecting in round 1": (BatchSimulation, "step", 2 * 12 + 5),
    "storing episodes of round 1": (EpisodeStore, "append", 2),
    "fitting in round 1": (MetaTrainer, "step", 3 + 2),
    "saving round 1": (run_module, "save_trainer_state", 2),
    "validating in round 2": (MetaTrainer, "validate", 3),
    "publishing": (run_module, "save_checkpoint", 1),
}


# on a full disk, storing ends early, too
QUICK = ("fitting in round 1", "publishing")


@pytest.mark.parametrize(
    "moment", [pytest.param(m, id=i, marks=() if i in QUICK else pytest.mark.slow) for i, m in MOMENTS.items()]
)
def test_an_interrupted_run_ends_as_if_nothing_had_happened(tmp_path: Path, finished: Path, moment: tuple):
    with pytest.MonkeyPatch.context() as patch:
        interrupt_call(patch, *moment)
        with pytest.raises(Interruption):
            train(TINY, tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoint").exists()

    train(TINY, tmp_path / "run")

    assert_same_end(tmp_path / "run", finished)


def test_a_finished_run_is_left_alone(finished: Path):
    before = contents(finished)

    assert train(TINY, finished) == finished / "checkpoint"

    assert contents(finished) == before


def test_another_seed_trains_another_model(finished: Path, tmp_path: Path):
    first_round(dataclasses.replace(TINY, seed=2), tmp_path / "run")

    ours, theirs = (load_file(run / "rounds" / "000" / "weights.safetensors") for run in (tmp_path / "run", finished))
    assert not torch.equal(ours["model.net.weight_0"], theirs["model.net.weight_0"])


# --- kill -9 ------------------------------------------------------------------------------------------------------------------


def readable_rounds(run: Path) -> int:
    """Open all that a run consists of; the number of complete rounds."""
    if (run / "config.yaml").exists():
        load_yaml(run / "config.yaml", TrainConfig)
    rounds = sorted(p for p in (run / "rounds").glob("*") if not p.name.startswith("."))
    for number, folder in enumerate(rounds):
        assert folder.name == f"{number:03d}"
        load_checkpoint(folder)
        load_yaml(folder / "round.yaml", RoundRecord)
        load_file(folder / "trainer.safetensors")
    if (run / "episodes" / "spec.yaml").exists():
        # a round's episodes are on disk before the round is
        assert EpisodeStore.open(run / "episodes").num_batches >= min(len(rounds), ROUNDS - 1)
    if (run / "checkpoint").exists():
        load_checkpoint(run / "checkpoint")
        assert len(rounds) == ROUNDS
    return len(rounds)


def kill_again_and_again(run: Path, first: int, stride: int, writers_only: bool) -> None:
    """Start the run in a child that kills itself before its n-th line of the project's code; n grows until one survives.

    Prints the number of kills. Runs in a process of its own: a process with threads should not fork.

    Args:
        run: the run folder.
        first: n of the first child.
        stride: n grows by this from child to child.
        writers_only: count only lines of the modules that write files.
    """
    modules = (
        "storage.py",
        "checkpoint.py",
        "episodes.py",
        "shards.py",
        "rounds.py",
        "train.py",
        "run.py",
        "run_folder.py",
        "recorder.py",
    )
    folders = tuple(str(ROOT / name) for name in ("adaptive_mbrl", "sim"))
    kills, lines = 0, first
    while True:
        child = os.fork()
        if child == 0:
            _die_at_line(lines, lambda file: file.startswith(folders) and (not writers_only or file.endswith(modules)))
            train(TINY, run)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        readable_rounds(run)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        kills, lines = kills + 1, lines + stride
    print(f"survived {kills} kills")


def _die_at_line(number: int, counted: Callable[[str], bool]) -> None:
    left = number

    def trace(frame, event, _):
        nonlocal left
        if not counted(frame.f_code.co_filename):
            return None
        left -= event == "line"
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def kills_survived(run: Path, first: int, stride: int, writers_only: bool) -> int:
    call = f"kill_again_and_again(Path({str(run)!r}), {first}, {stride}, {writers_only})"
    program = f"from pathlib import Path\nfrom tests.sim.test_train import kill_again_and_again\n{call}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    return int(result.stdout.split()[-2])


@pytest.mark.slow
def test_kill_9_while_something_is_written_never_leaves_an_unreadable_run(tmp_path: Path, finished: Path):
    kills = kills_survived(tmp_path / "run", first=350, stride=250, writers_only=True)

    assert kills >= 3
    assert_same_end(tmp_path / "run", finished)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "stride", "writers_only"), [(20, 20, True), (3000, 3001, False)], ids=["writing", "anywhere"])
def test_kill_9_at_any_moment_never_leaves_an_unreadable_run(
    tmp_path: Path, finished: Path, first: int, stride: int, writers_only: bool
):
    kills = kills_survived(tmp_path / "run", first, stride, writers_only)

    assert kills >= 10
    assert_same_end(tmp_path / "run", finished)


# --- two processes, and a disk that is full ----------------------------------------------------------------------------------


def test_a_second_training_in_the_same_folder_is_told_who_is_there(tmp_path: Path):
    run = tmp_path / "run"
    with open_training(TINY, run, CPU) as training:
        left = run / "episodes" / ".unfinished-000000.safetensors-x"
        left.write_bytes(b"of the first process, not finished yet")
        before = contents(run)

        with pytest.raises(RunFolderError) as caught:
            train(TINY, run)

        assert str(caught.value) == (
            f"{run}: process {os.getpid()} on {socket.gethostname()} is training in this folder; "
            "wait until it has ended, or choose another --run folder"
        )
        assert contents(run) == before
        training.run_round(0)

    with open_training(TINY, run, CPU) as training:
        assert training.next_round == 1
        assert not left.exists()


def test_the_lock_of_a_killed_process_holds_nobody_up(tmp_path: Path):
    (tmp_path / "lock").write_text("process 1 on elsewhere")

    with open_training(TINY, tmp_path, CPU):
        assert (tmp_path / "lock").read_text() == f"process {os.getpid()} on {socket.gethostname()}"
    assert (tmp_path / "lock").read_text() == ""


def test_a_refused_run_lets_go_of_the_folder(tmp_path: Path):
    first_round(TINY, tmp_path)
    with pytest.raises(ConfigError, match=r"another configuration, whose .* is .* and not"):
        train(dataclasses.replace(TINY, updates_final=3), tmp_path)

    with open_training(TINY, tmp_path, CPU) as training:
        assert training.next_round == 1


def test_a_full_disk_costs_the_round_and_nothing_else(tmp_path: Path, finished: Path):
    with pytest.MonkeyPatch.context() as patch:
        fail_call(patch, os, "fsync", 14, OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(OSError, match="No space left on device"):
            train(TINY, tmp_path / "run")
    assert readable_rounds(tmp_path / "run") < ROUNDS

    train(TINY, tmp_path / "run")

    assert_same_end(tmp_path / "run", finished)


def test_the_curves_are_those_that_tensorboard_reads(finished: Path):
    curves = EventAccumulator(str(finished / "tensorboard"))
    curves.Reload()

    tags = curves.Tags()["scalars"]
    assert {"env_steps", "collect/return", "validation/adapted_loss"} <= set(tags)
    assert [(p.step, p.value) for p in curves.Scalars("env_steps")] == [(3, 60.0), (6, 96.0), (9, 132.0), (11, 132.0)]


# --- mistakes -----------------------------------------------------------------------------------------------------------------


def test_another_configuration_in_the_same_folder_is_refused(finished: Path):
    before = contents(finished)

    with pytest.raises(ConfigError, match=r"config.yaml: .*another configuration"):
        train(dataclasses.replace(TINY, updates_final=3), finished)

    assert contents(finished) == before


def test_a_single_scenario_is_no_distribution(tmp_path: Path):
    file = tmp_path / "one.yaml"
    file.write_text("robot: cartpole\nsteps: 30\n")

    with pytest.raises(ConfigError, match=r"'scenarios'.*single scenario"):
        train(dataclasses.replace(TINY, scenarios=str(file)), tmp_path / "run")

    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("file", ["trainer.safetensors", "weights.safetensors"])
def test_a_damaged_round_is_named(tmp_path: Path, file: str):
    first_round(TINY, tmp_path / "run")
    damaged = tmp_path / "run" / "rounds" / "000" / file
    damaged.write_bytes(damaged.read_bytes()[:100])

    with pytest.raises(CheckpointError, match=r"rounds/000.*damaged") as caught:
        train(TINY, tmp_path / "run")
    assert "\n" not in str(caught.value)


UNSTABLE_SPLIT = """
robot: cartpole
steps: 12
train:
  initial:
    - {}
    - {external_force: {pole_1: [1e5, 0, 1e5]}, body_mass: 0.01, actuator_gain: 10}
"""


def test_a_robot_whose_physics_breaks_is_left_out_and_the_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the working directory
    split = tmp_path / "split.yaml"
    split.write_text(UNSTABLE_SPLIT)
    config = dataclasses.replace(TINY, scenarios=f"{split}:train", data=dataclasses.replace(TINY.data, episodes_per_iteration=8))

    train(config, tmp_path / "run")

    episodes = EpisodeStore.open(tmp_path / "run" / "episodes").episodes
    assert not any(e.tags["scenario"]["changes"] for e in episodes)
    trunk = [e for e in episodes if e.tags["source"] == "policy"]
    assert 2 * 2 <= len(trunk) < 2 * 8


@pytest.mark.parametrize("file", ["robot.yaml", "scenarios.yaml"])
def test_a_run_does_not_go_on_with_another_robot_or_split(tmp_path: Path, file: str):
    first_round(TINY, tmp_path / "run")
    with (tmp_path / "run" / file).open("a") as text:
        text.write("# as if the shipped file had been edited since\n")

    with pytest.raises(ConfigError, match=rf"{file}: .*another content"):
        train(TINY, tmp_path / "run")


def test_nothing_of_the_users_is_deleted_in_a_run_folder(tmp_path: Path):
    for name in (".env.template", ".unfinished"):
        (tmp_path / name).write_text("mine")

    first_round(TINY, tmp_path)
    with open_training(TINY, tmp_path, CPU):
        pass

    assert (tmp_path / ".env.template").read_text() == (tmp_path / ".unfinished").read_text() == "mine"


# --- the multi-task model -----------------------------------------------------------------------------------------------------


def multitask_of(source: Path) -> TrainConfig:
    return dataclasses.replace(
        TINY,
        adaptation=(NoneConfig(),),
        data=dataclasses.replace(TINY.data, episodes_from=source),
    )


def test_a_multitask_model_is_trained_on_another_runs_episodes(finished: Path, tmp_path: Path):
    before = contents(finished)

    train(multitask_of(finished), tmp_path / "run")

    assert contents(finished) == before
    assert not list((tmp_path / "run").glob("episodes/*.safetensors"))
    ours, theirs = (load_checkpoint(run / "checkpoint") for run in (tmp_path / "run", finished))
    assert ours.description.adaptation == (NoneConfig(),)
    assert ours.description.provenance["outer"] == "multitask"
    for name, statistic in theirs.adapter.normalizer.state_dict().items():
        assert torch.equal(ours.adapter.normalizer.state_dict()[name], statistic), name
    assert not torch.equal(ours.adapter.model.net.weight_0, theirs.adapter.model.net.weight_0)
    # what counts is the number of updates and the data, which both runs share
    for key in ("updates", "env_steps", "branch_steps", "oracle_steps"):
        assert ours.description.provenance[key] == theirs.description.provenance[key], key


def test_episodes_of_a_run_that_does_not_exist_are_an_error_and_no_new_folder(tmp_path: Path):
    with pytest.raises(AdaptiveMBRLError, match="mistyped"):
        train(multitask_of(tmp_path / "mistyped"), tmp_path / "run")

    assert not (tmp_path / "mistyped").exists()


def test_episodes_of_another_robot_are_refused(finished: Path, tmp_path: Path):
    config = dataclasses.replace(multitask_of(finished), scenarios="half_cheetah/cadm_cripple:train")

    with pytest.raises(CheckpointError, match="name is cartpole; the robot here has half_cheetah"):
        train(config, tmp_path / "run")


# --- shipped configurations ---------------------------------------------------------------------------------------------------


def shipped() -> list[str]:
    folder = ROOT / "configs" / "train"
    return sorted(p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.yaml"))


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_training_config_loads_and_fits_its_robot(name: str):
    config = load_train_config(name)

    assert load_train_config(ROOT / "configs" / "train" / f"{name}.yaml") == config
    distribution = load_scenario(config.scenarios)
    robot = load_robot(distribution.robot)
    adapter = make_adapter(DynamicsModel(robot.spec, config.model), config.adaptation, config.window)
    assert MetaTrainer(adapter, config.outer).adapter.prior(2) is not None
    # plans must fit into an episode, or there is nothing to branch off and no rank correlation
    assert config.planner.horizon < config.data.steps
    # training never sees the test part of a split
    assert config.scenarios.endswith(":train")


def test_an_oracle_planner_that_needs_a_derivative_is_refused():
    data = dataclasses.replace(TINY.data, oracle_planner=GradientPlannerConfig())
    with pytest.raises(ConfigError, match=r"key 'data\.oracle_planner': 'gradient' needs a derivative"):
        dataclasses.replace(TINY, data=data)

    with pytest.raises(ConfigError, match="the oracle's physics has no derivative to plan with"):
        OraclePolicy(load_robot("cartpole").spec, GradientPlannerConfig(), seed=0)


# --- several processes --------------------------------------------------------------------------------------------------------


def test_two_processes_train_one_run(tmp_path: Path):
    """The main one collects and writes; both end with the same weights, also when the run is resumed."""
    run, short = tmp_path / "run", dataclasses.replace(TINY, data=dataclasses.replace(TINY.data, iterations=1))

    def first_round_of(half: ThreadProcess) -> None:
        with open_training(short, run, CPU, Execution(half)) as training:
            training.run_round(0)

    def rest_of(half: ThreadProcess) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        with open_training(short, run, CPU, Execution(half)) as training:
            assert training.next_round == 1
            for index in range(1, training.num_rounds):
                training.run_round(index)
            assert training.publish().is_dir()
            return training.adapter.state_dict(), training.trainer.generator.get_state()

    together(2, first_round_of)
    (ours, drawn), (theirs, drawn_by_other) = together(2, rest_of)

    for name, tensor in load_checkpoint(run / "checkpoint").adapter.state_dict().items():
        assert torch.equal(tensor, ours[name]), name
        assert torch.equal(tensor, theirs[name]), name
    assert torch.equal(drawn, drawn_by_other)
    assert len(list((run / "episodes").glob("*.safetensors"))) == 2
    # one file for each start of the main process; two starts within one second share its name
    assert len(list((run / "tensorboard").iterdir())) in (1, 2)


# --- options of a training without privileges ---------------------------------------------------------------------------------


ALL_OPTIONS = dataclasses.replace(
    TINY,
    shaping=False,
    data=dataclasses.replace(
        TINY.data,
        oracle_episodes=0,
        branches_per_state=0,
        exploration_bonus=0.5,
        weighting=WeightingConfig(recency=1.0, reward=0.5),
    ),
    planner=dataclasses.replace(TINY.planner, risk=CVaRRiskConfig(0.6)),
    value=ValueConfig(sweeps=2, updates=3, batch_size=8),
    resets=ResetConfig(rounds=(1, 2), layers="last"),
)


def test_a_run_with_all_options_goes_on_after_an_interruption_as_if_there_had_been_none(tmp_path: Path):
    train(ALL_OPTIONS, tmp_path / "whole")
    with open_training(ALL_OPTIONS, tmp_path / "parts", CPU) as training:
        training.run_round(0)
        training.run_round(1)

    train(ALL_OPTIONS, tmp_path / "parts")

    assert_same_end(tmp_path / "parts", tmp_path / "whole")
    values = [load_file(tmp_path / name / "checkpoint" / "value.safetensors") for name in ("parts", "whole")]
    assert all(torch.equal(values[0][name], tensor) for name, tensor in values[1].items())
    record = load_yaml(tmp_path / "whole" / "rounds" / "003" / "round.yaml", RoundRecord)
    assert (record.oracle_steps, record.branch_steps) == (0, 0)
    assert "value/explained_variance" in record.scalars


def test_the_controller_of_a_collection_has_the_rounds_bonus_the_risk_and_the_value(tmp_path: Path):
    with open_training(ALL_OPTIONS, tmp_path / "run", CPU) as training:
        training.run_round(0)
        score = training.controller(0, ALL_OPTIONS.data.bonus_in(1)).settings.score
        assert (score.uncertainty_penalty, score.risk) == (-0.5, CVaRRiskConfig(0.6))
        assert isinstance(score.terminal_value, ValueFunction)
        assert score.terminal_value is not training.value


def test_the_bonus_falls_to_zero_along_a_straight_line():
    data = dataclasses.replace(DataConfig(), exploration_bonus=2.0, iterations=5)
    assert [data.bonus_in(i) for i in range(1, 6)] == pytest.approx([2.0, 1.5, 1.0, 0.5, 0.0])
    assert dataclasses.replace(data, iterations=1).bonus_in(1) == 2.0


def test_a_reset_changes_the_fit_of_its_round_only(tmp_path: Path):
    config = dataclasses.replace(TINY, resets=ResetConfig(rounds=(1,), layers="all"))
    for name, chosen in (("reset", config), ("plain", TINY)):
        with open_training(chosen, tmp_path / name, CPU) as training:
            training.run_round(0)
            training.run_round(1)
    first, second = (
        [load_file(tmp_path / name / "rounds" / f"{i:03d}" / "weights.safetensors") for name in ("reset", "plain")]
        for i in (0, 1)
    )
    assert torch.equal(first[0]["model.net.weight_1"], first[1]["model.net.weight_1"])
    assert not torch.allclose(second[0]["model.net.weight_1"], second[1]["model.net.weight_1"], atol=1e-2)


def test_a_value_for_a_robot_with_a_goal_is_refused_and_begins_no_run(tmp_path: Path):
    config = dataclasses.replace(TINY, scenarios="arm/payload:train", value=ValueConfig())
    with pytest.raises(ConfigError, match=r"key 'value': the objective of 'arm' has a goal"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
