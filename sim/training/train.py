"""Meta-training in simulation: collect, fit and save, in rounds.

Round 0 fits the model to random and oracle episodes. Every later round collects episodes with the controller of the round before
and fits again; the last round only fits. A run can be resumed after every round. A run is a folder:

    config.yaml                      what was asked for, resolved
    robot.yaml, scenarios.yaml       copies of the files that the configuration names
    git_revision.txt                 git revision of the code that started the run
    lock                             which process is training in this folder; empty when none is
    episodes/                        all data, one file per round that collected
    rounds/NNN/                      checkpoint, optimiser state and figures after round NNN; complete or not there at all
    tensorboard/                     scalars
    dumps/                           steps that were not finite, for `adaptive-mbrl replay`; only if there was one
    checkpoint                       copy of the last round's checkpoint, written when the run is complete
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from adaptive_mbrl.adaptation import NetworkAdapter, make_adapter
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.canary import CANARY_WINDOWS, Canary, make_canary
from adaptive_mbrl.checkpoint import (
    FORMAT_VERSION,
    Checkpoint,
    Description,
    load_checkpoint,
    save_checkpoint,
    write_checkpoint_files,
)
from adaptive_mbrl.control.dump import StepDump
from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.errors import ConfigError, DivergenceError
from adaptive_mbrl.meta.dump import written
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.planning import Score, make_planner
from adaptive_mbrl.process import SINGLE, Process
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.storage import atomic_folder
from sim.episodes.collect import Collector
from sim.paths import find_config
from sim.robot.robot import Robot, load_robot
from sim.scenarios.distribution import ScenarioDistribution
from sim.scenarios.loading import find_scenario, load_scenario
from sim.training.config import TrainConfig
from sim.training.given_episodes import given_episodes
from sim.training.recorder import Recorder
from sim.training.rounds import RoundRecord, load_trainer_state, save_trainer_state
from sim.training.run_folder import claimed


def train(config: TrainConfig, run: Path, device: torch.device | str = "cpu", process: Process = SINGLE) -> Path:
    """Run or resume a training.

    Args:
        config: the configuration of the run.
        run: the run folder; a new one is made, an existing one must be of the same run.
        device: where the model is trained.
        process: this process among those that train together; the main one writes the run's files.

    Returns:
        The folder of the final checkpoint.
    """
    with open_training(config, run, torch.device(device), process) as training:
        for index in range(training.next_round, training.num_rounds):
            training.run_round(index)
        return training.publish()


@contextmanager
def open_training(config: TrainConfig, run: Path, device: torch.device, process: Process = SINGLE) -> Iterator[Training]:
    """Check a configuration, claim its run folder for this process, and load what earlier rounds have left there."""
    distribution = load_scenario(config.scenarios)
    if not isinstance(distribution, ScenarioDistribution):
        raise ConfigError(
            f"key 'scenarios': '{config.scenarios}' is a single scenario; training needs a split's part, "
            "for example cartpole/mass_gain:train"
        )
    robot = load_robot(distribution.robot)
    given = given_episodes(config, robot.spec)
    adapter = make_adapter(DynamicsModel(robot.spec, config.model, config.seed), config.adaptation, config.window)
    trainer = MetaTrainer(adapter, config.outer, config.seed, device, process)
    # the revision of the code that is running: the checkout may change during a long training
    revision = git_revision() or "unknown"
    files = {
        "robot.yaml": find_config("robots", distribution.robot).read_text(),
        "scenarios.yaml": find_scenario(config.scenarios)[0].read_text(),
    }
    with claimed(run, config, files, revision) if process.is_main else nullcontext():
        # the others may read the folder once the main process has claimed it
        process.barrier()
        training = Training(config, run, device, robot, distribution, trainer, adapter, revision, given)
        try:
            yield training
        finally:
            training.recorder.close()


class Training:
    """One run; each round reads only what earlier rounds have left on disk, so that a resumed run continues identically.

    Args:
        config: the configuration of the run.
        run: the run folder, claimed for this process.
        device: where the model is trained.
        robot: the robot that is simulated.
        distribution: the distribution that training scenarios are drawn from.
        trainer: a new trainer; it takes over the state that the last finished round left.
        adapter: what the trainer trains.
        revision: git revision of the running code.
        given: the episodes to train on; None if the training collects its own.
    """

    def __init__(
        self,
        config: TrainConfig,
        run: Path,
        device: torch.device,
        robot: Robot,
        distribution: ScenarioDistribution,
        trainer: MetaTrainer,
        adapter: NetworkAdapter,
        revision: str,
        given: EpisodeStore | None,
    ) -> None:
        self.config, self.folder, self.device = config, run, device
        self.robot, self.distribution, self.revision = robot, distribution, revision
        self.trainer, self.adapter, self.process = trainer, adapter, trainer.process
        self.canary: Canary | None = None
        self.recorder = Recorder(run)
        done = sorted(p for p in (run / "rounds").glob("[0-9]*") if p.name.isdigit())
        self.next_round = len(done)
        self.record = self.recorder.load_record(done[-1]) if done else RoundRecord(0, 0, 0, 0, 0, 0.0)
        if done:
            load_trainer_state(self.trainer, done[-1])
        if given is not None and done and given.num_batches != self.record.batches:
            raise ConfigError(
                f"key 'data.episodes_from': {config.data.episodes_from} holds {given.num_batches} batches of episodes, "
                f"but {run} began with {self.record.batches}; choose another --run folder"
            )
        self.store = EpisodeStore.open(run / "episodes", robot.spec, self.record.batches) if given is None else given

    @property
    def dump_folder(self) -> Path:
        """Where steps that are not finite are written for a replay."""
        return self.folder / "dumps"

    @property
    def num_rounds(self) -> int:
        """Number of rounds of the whole run."""
        return 1 + self.config.data.iterations + (self.config.updates_final > 0)

    def run_round(self, index: int) -> None:
        """Collect, fit, validate and save."""
        begun = time.monotonic()
        about: dict[str, Any] = {}
        last = index == self.num_rounds - 1 and self.config.updates_final > 0
        if self.config.data.episodes_from is None and not last:
            # a round that was interrupted after its collection finds its episodes on disk
            if self.store.num_batches == index:
                self._collect(index)
                self.process.barrier()
                if not self.process.is_main:
                    self.store = EpisodeStore.open(self.folder / "episodes", self.robot.spec, index + 1)
                begun = time.monotonic()
            about = self.store.abouts[index]
        scalars: dict[str, float] = dict(about.get("scalars", {}))
        scalars |= self._fit(index, self._updates(index, last))
        self.record = self._record_after(about.get("seconds", 0.0) + time.monotonic() - begun, scalars)
        self._save(index)

    def publish(self) -> Path:
        """Copy the last round's checkpoint to `checkpoint/`, without the optimiser state, and return that folder."""
        target = self.folder / "checkpoint"
        if self.process.is_main and not target.exists():
            save_checkpoint(target, load_checkpoint(self.folder / "rounds" / f"{self.num_rounds - 1:03d}"))
        self.process.barrier()
        return target

    def controller(self, seed: int) -> AdaptiveController:
        """A controller with the present parameters; `seed` is that of its planner's noise."""
        planner = make_planner(self.robot.spec, self.config.planner, seed, self.device)
        score = Score(self.robot.objective_to_plan(self.config.shaping), planner.uncertainty_penalty)
        settings = ControlSettings(self.adapter, planner, score, precision=self.config.outer.precision)
        dump = StepDump(self.dump_folder, self.description())
        return AdaptiveController(self.robot.spec, settings, self.config.window, dump)

    def _collect(self, index: int) -> None:
        """Collect the episodes of a round and store them with what their collection cost and showed; in the main process only."""
        if not self.process.is_main:
            return
        begun = time.monotonic()
        config = self.config
        collector = Collector(
            config.data,
            self.robot,
            self.distribution,
            config.planner,
            config.window,
            config.seed,
            self.dump_folder,
            shaping=config.shaping,
        )
        controller_seed = config.seed * 1000 + index
        collected = collector.on_policy(index, self.controller(controller_seed)) if index else collector.initial()
        seconds = time.monotonic() - begun
        costs = {"oracle_steps": collected.oracle_steps, "scalars": collected.scalars, "seconds": seconds}
        self.store.append(collected.episodes, costs)

    def _updates(self, index: int, last: bool) -> int:
        if index == 0:
            return self.config.updates_initial
        return self.config.updates_final if last else self.config.updates_per_iteration

    def _fit(self, index: int, updates: int) -> dict[str, float]:
        window, query = self.config.window, self.config.outer.query
        training = [e for e in self.store.episodes if not e.tags.get("validation")]
        validation = [e for e in self.store.episodes if e.tags.get("validation")]
        dataset = EpisodeDataset(self.robot.spec, training, validation, window, query, self.device)
        with tqdm(
            total=updates,
            desc=f"round {index}/{self.num_rounds - 1} fit",
            unit="update",
            leave=False,
            disable=not self.process.is_main,
        ) as bar:

            def report(done: int, scalars: dict[str, float]) -> None:
                bar.update(done - bar.n)
                if "train/query_loss" in scalars:
                    bar.set_postfix(loss=f"{scalars['train/query_loss']:.3f}")
                if self.process.is_main:
                    self.recorder.scalars(scalars, self.trainer.updates_done)

            try:
                scalars = self.trainer.fit(dataset, updates, report)
            except DivergenceError as error:
                raise written(error, self.dump_folder, self.description(), self.trainer) from error
        recorded = dataset.held_out(CANARY_WINDOWS)
        self.canary = None if recorded is None else make_canary(self.adapter, recorded)
        return scalars | self.trainer.validate(dataset) | self.trainer.gradient_conflict(dataset)

    def _record_after(self, seconds: float, scalars: dict[str, float]) -> RoundRecord:
        """The record after a round that took `seconds` and showed `scalars`."""
        branch_steps = sum(len(e) - e.history for e in self.store.episodes if e.tags.get("source") == "branch")
        return RoundRecord(
            self.store.num_batches,
            self.store.num_steps - branch_steps,
            branch_steps,
            sum(a.get("oracle_steps", 0) for a in self.store.abouts),
            self.trainer.updates_done,
            self.record.seconds + seconds,
            scalars,
        )

    def _save(self, index: int) -> None:
        if not self.process.is_main:
            self.process.barrier()
            return
        self.recorder.scalars(self.record.scalars | {"env_steps": self.record.env_steps}, self.trainer.updates_done)
        with atomic_folder(self.folder / "rounds" / f"{index:03d}") as temporary:
            write_checkpoint_files(temporary, Checkpoint(self.description(), self.adapter, self.canary))
            save_trainer_state(self.trainer, temporary)
            self.recorder.save_record(temporary, self.record)
        self.recorder.print_round(index, self.record)
        self.process.barrier()

    def description(self) -> Description:
        """What the checkpoint of the present parameters says about itself."""
        provenance = {
            "scenarios": self.config.scenarios,
            "env_steps": self.record.env_steps,
            "branch_steps": self.record.branch_steps,
            "oracle_steps": self.record.oracle_steps,
            "updates": self.record.updates,
            "seconds": round(self.record.seconds, 1),
            "git_revision": self.revision,
            "outer": "multitask" if all(isinstance(rule, NoneConfig) for rule in self.config.adaptation) else "meta",
        }
        config = self.config
        objective = self.robot.objective_to_plan(config.shaping)
        return Description(
            FORMAT_VERSION,
            self.robot.spec,
            objective.terms,
            objective.goal_names,
            config.model,
            config.adaptation,
            config.planner,
            config.window,
            provenance,
            config.shaping,
        )
