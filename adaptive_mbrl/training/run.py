"""A training run in rounds: fit, validate and save, resumable after every round and within a fit.

Round 0 fits the model to its first episodes. Every later round may collect episodes and fits again; the last round only fits.
Where the episodes come from is the business of whoever runs it: `from_episodes` takes recorded ones, `sim.training` collects. A
run is a folder:

    config.yaml                      what was asked for, resolved
    robot.yaml, scenarios.yaml       copies of the files that the configuration names, where it names some; robot.py for Python
    git_revision.txt                 git revision of the code that started the run
    lock                             which process is training in this folder; empty when none is
    fit.safetensors                  a fit that is going on, as it was last saved
    episodes/                        all data, one file per round that collected
    rounds/NNN/                      checkpoint, optimiser state and figures after round NNN; complete or not there at all
    report.html                      what the run is and how far it has come, written after each round
    report.mp4                       its film, where that is too large for the page
    tensorboard/                     curves, if TensorBoard is a logger of the run
    dumps/                           steps that were not finite, for `adaptive-mbrl replay`; only if there was one
    checkpoint                       copy of the last round's checkpoint, written when the run is complete
    multitask/                       run of the multi-task model, and
    comparison.json                  its held-out errors beside those of this run; both only if they were asked for

and where episodes are collected while it fits (`seen.py`, `published.py`):

    seen/NNN.yaml                    which batches round NNN is fitted to
    published/NNNNNN                 the newest checkpoints, by number of updates; `published/newest` is a link to the last
    collectors/N.log                 what collector N printed
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter, make_adapter
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.canary import CANARY_WINDOWS, Canary, make_canary
from adaptive_mbrl.checkpoint import (
    FORMAT_VERSION,
    Checkpoint,
    Description,
    load_checkpoint,
    read_learned,
    read_value,
    save_checkpoint,
    write_checkpoint_files,
)
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.errors import ConfigError, DivergenceError
from adaptive_mbrl.meta.dump import written
from adaptive_mbrl.meta.reset import reset_layers
from adaptive_mbrl.meta.reward_fit import fit_reward
from adaptive_mbrl.meta.termination_fit import fit_termination
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.meta.value_fit import fit_value
from adaptive_mbrl.objective import Objective
from adaptive_mbrl.planning.learned_reward import LearnedReward
from adaptive_mbrl.planning.learned_termination import LearnedTermination
from adaptive_mbrl.planning.value import ValueFunction
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.storage import atomic_folder
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.execution import Execution
from adaptive_mbrl.training.fit_watch import FitWatch
from adaptive_mbrl.training.recorder import Recorder
from adaptive_mbrl.training.report.reporter import Reporter
from adaptive_mbrl.training.rounds import RoundRecord, load_trainer_state, round_folder, save_trainer_state
from adaptive_mbrl.training.status import Status
from adaptive_mbrl.training.unfinished_fit import FIT_FILE, UnfinishedFit, load_fit, save_fit


class Fit(NamedTuple):
    """The fit of a round.

    Attributes:
        seconds: its computing time, validation included [s].
        scalars: its figures.
        losses: the loss of each outer step, (U,).
    """

    seconds: float
    scalars: dict[str, float]
    losses: Tensor


class Training:
    """One run; each round reads only what earlier rounds have left on disk, so that a resumed run continues identically.

    Args:
        config: the configuration of the run.
        run: the run folder, claimed for this process.
        spec: the robot.
        objective: what the checkpoint's planner maximises; None if nothing says it.
        device: where the model is trained.
        revision: git revision of the running code.
        given: the episodes to train on; None if the training collects its own (`collect`).
        execution: how it is carried out.
    """

    def __init__(
        self,
        config: TrainConfig,
        run: Path,
        spec: RobotSpec,
        objective: Objective | None,
        device: torch.device,
        revision: str,
        given: EpisodeStore | None,
        execution: Execution = Execution(),  # noqa: B008
    ) -> None:
        self.config, self.folder, self.device = config, run, device
        self.spec, self.objective, self.revision = spec, objective, revision
        self.execution, self.process, self.stop = execution, execution.process, execution.stop
        self.adapter: NetworkAdapter = make_adapter(
            DynamicsModel(spec, config.model, config.seed), config.adaptation, config.window
        )
        self.trainer = MetaTrainer(self.adapter, config.outer, config.seed, device, self.process)
        self.value = new_value(config, spec, objective)
        self.learned_reward, self.learned_termination = new_learned(config, spec)
        self.canary: Canary | None = None
        loggers = execution.loggers if self.process.is_main else ()
        self.recorder, self.status = Recorder(run, config, loggers), Status(config, device)
        self.reporter = Reporter(run, config, execution.report, device, self.process.world_size)
        done = sorted(p for p in (run / "rounds").glob("[0-9]*") if p.name.isdigit())
        self.next_round = len(done)
        self.record = self.recorder.load_record(done[-1]) if done else RoundRecord(0, 0, 0, 0, 0, 0.0)
        if done:
            load_trainer_state(self.trainer, done[-1])
            self.value = None if self.value is None else read_value(done[-1], self.value)
            self.learned_reward, self.learned_termination = read_learned(done[-1], self.description())
        if given is not None and done and given.num_batches != self.record.batches:
            raise ConfigError(
                f"key 'data.episodes_from': {config.data.episodes_from} holds {given.num_batches} batches of episodes, "
                f"but {run} began with {self.record.batches}; choose another --run folder"
            )
        self.store = EpisodeStore.open(run / "episodes", spec, self.record.batches) if given is None else given
        # nobody writes a first batch before all have looked what is there
        self.process.barrier()

    @property
    def dump_folder(self) -> Path:
        """Where steps that are not finite are written for a replay."""
        return self.folder / "dumps"

    @property
    def num_rounds(self) -> int:
        """Number of rounds of the whole run."""
        return self.config.num_rounds

    def run(self) -> Path:
        """Run all rounds that are left, and return the folder of the final checkpoint."""
        if self.next_round > 0 and self.reporter.is_behind(round_folder(self.folder, self.next_round - 1)):
            # an interrupted process may not have come to it
            self._report(self.next_round)
        for index in range(self.next_round, self.num_rounds):
            self.run_round(index)
            if self.stop.is_made(self.process):
                self.stop.obey()
            self._report(index + 1)
        return self.publish()

    def run_round(self, index: int) -> None:
        """Collect, fit, validate and save."""
        about: dict[str, Any] = {}
        if self.config.collects(index):
            # a round that was interrupted after its collection finds its episodes on disk
            if self.store.num_batches == index:
                self.collect(index)
                self.process.barrier()
                if not self.process.is_main:
                    self.store = EpisodeStore.open(self.folder / "episodes", self.spec, index + 1)
            about = self.store.abouts[index]
            self.status.collected(self.store.episodes, about, index)
        with self.stop.deferred():
            self._fit_and_save(index, about.get("seconds"), about.get("scalars", {}))

    def publish(self) -> Path:
        """Copy the last round's checkpoint to `checkpoint/`, without the optimiser state, and return that folder."""
        target = self.folder / "checkpoint"
        if self.process.is_main and not target.exists():
            save_checkpoint(target, load_checkpoint(self.folder / "rounds" / f"{self.num_rounds - 1:03d}"))
        self.process.barrier()
        return target

    def collect(self, index: int) -> None:
        """Append the episodes of a round to the store; a training that is given its episodes never asks for it."""
        raise NotImplementedError

    def _fit_and_save(self, index: int, collect_seconds: float | None, figures: Mapping[str, float]) -> None:
        """Fit, validate and save, after a collection that took so long [s] and showed these figures; None for no collection."""
        fit = self._fit(index, self.config.updates_of(index))
        self.record = self._record_after((collect_seconds or 0.0) + fit.seconds, {**figures, **fit.scalars})
        self._save(index, fit, collect_seconds)

    def _fit(self, index: int, updates: int) -> Fit:
        """Fit what is left of a round, and validate."""
        window, query = max(self.config.window, self.adapter.carried), self.config.outer.query
        training = [e for e in self.store.episodes if not e.tags.get("validation")]
        validation = [e for e in self.store.episodes if e.tags.get("validation")]
        dataset = EpisodeDataset(self.spec, training, validation, window, query, self.device, self.config.data.weighting)
        unfinished = load_fit(self.folder, index, self.store.num_batches, self.trainer)
        # nobody saves again before all have read it
        self.process.barrier()
        if unfinished is None and index in self.config.resets.rounds:
            # other weights than those that the training began with, and others in every round
            reset_layers(self.trainer, self.adapter, self.config.resets.layers, self.config.seed + 7919 * (index + 1))
        begun = time.monotonic() - (0.0 if unfinished is None else unfinished.seconds)
        before = None if unfinished is None else unfinished.losses
        done = 0 if before is None else len(before)
        with self.status.fitting(index, updates, shown=self.process.is_main, done=done) as bar:
            watch = FitWatch(
                bar,
                self.execution,
                record=lambda scalars: self.recorder.scalars(scalars, self.trainer.updates_done),
                save=lambda losses: self._save_fit(index, losses, time.monotonic() - begun),
                dump=self._dumped,
            )
            try:
                scalars = self.trainer.fit(dataset, updates, watch, before=before)
            except DivergenceError as error:
                raise (self._dumped(error) if self.process.is_main else error) from error
        recorded = dataset.held_out(CANARY_WINDOWS)
        self.canary = None if recorded is None else make_canary(self.adapter, recorded)
        scalars |= self.trainer.validate(dataset) | self.trainer.gradient_conflict(dataset)
        scalars |= self._fit_learned(training, validation, index) | self._fit_value(training, index)
        if self.process.is_main:
            self.reporter.predict(self.adapter, validation)
        losses = torch.zeros(0) if watch.losses is None else watch.losses
        return Fit(time.monotonic() - begun, scalars, losses)

    def _save_fit(self, index: int, losses: Tensor, seconds: float) -> None:
        save_fit(self.folder, UnfinishedFit(index, self.store.num_batches, seconds, losses), self.trainer)

    def _dumped(self, error: DivergenceError) -> DivergenceError:
        """The error with the command that replays its step, which is written."""
        return written(error, self.dump_folder, self.description(), self.trainer)

    def _fit_value(self, training: Sequence[Episode], index: int) -> dict[str, float]:
        reward = self.objective or self.learned_reward
        if self.value is None or reward is None:
            return {}
        return fit_value(self.value, training, reward, self.config.seed + index)

    def _fit_learned(self, training: Sequence[Episode], validation: Sequence[Episode], index: int) -> dict[str, float]:
        scalars: dict[str, float] = {}
        if self.learned_reward is not None:
            scalars |= fit_reward(self.learned_reward, training, validation, self.config.seed + index)
        if self.learned_termination is not None:
            scalars |= fit_termination(self.learned_termination, training, validation, self.config.seed + index)
        return scalars

    def _record_after(self, seconds: float, scalars: dict[str, float]) -> RoundRecord:
        """The record after a round that took `seconds` and showed `scalars`."""
        branch_steps = sum(len(e) - e.history for e in self.store.episodes if e.is_branch)
        return RoundRecord(
            self.store.num_batches,
            self.store.num_steps - branch_steps,
            branch_steps,
            sum(a.get("oracle_steps", 0) for a in self.store.abouts),
            self.trainer.updates_done,
            self.record.seconds + seconds,
            scalars,
        )

    def _save(self, index: int, fit: Fit, collect_seconds: float | None) -> None:
        if not self.process.is_main:
            self.process.barrier()
            return
        self.recorder.scalars(self.record.scalars | {"env_steps": self.record.env_steps}, self.trainer.updates_done)
        with atomic_folder(self.folder / "rounds" / f"{index:03d}") as temporary:
            write_checkpoint_files(temporary, self.checkpoint())
            save_trainer_state(self.trainer, temporary)
            self.recorder.save_record(temporary, self.record)
            self.reporter.save(
                temporary,
                fit.losses.tolist(),
                self.trainer.updates_done,
                fit.seconds,
                collect_seconds,
                self.status.updates_per_second,
            )
        (self.folder / FIT_FILE).unlink(missing_ok=True)
        self.recorder.print_round(f"{index}/{self.num_rounds - 1}", self.record, self.status.of_round())
        self.process.barrier()

    def checkpoint(self) -> Checkpoint:
        """The checkpoint of the present parameters."""
        return Checkpoint(
            self.description(),
            self.adapter,
            self.canary,
            self.value,
            learned_reward=self.learned_reward,
            learned_termination=self.learned_termination,
        )

    def _report(self, done: int) -> None:
        """Write the page of the run, of which `done` rounds are complete."""
        if self.process.is_main:
            self.reporter.write(self.store, self.status.seconds_left(), is_done=done == self.num_rounds)

    def description(self) -> Description:
        """What the checkpoint of the present parameters says about itself."""
        provenance = {
            "scenarios": self.config.scenarios or f"episodes of {self.config.data.episodes_from}",
            "env_steps": self.record.env_steps,
            "branch_steps": self.record.branch_steps,
            "oracle_steps": self.record.oracle_steps,
            "updates": self.record.updates,
            "seconds": round(self.record.seconds, 1),
            "git_revision": self.revision,
            "outer": "multitask" if all(isinstance(rule, NoneConfig) for rule in self.config.adaptation) else "meta",
        }
        config = self.config
        return Description(
            FORMAT_VERSION,
            self.spec,
            () if self.objective is None else self.objective.terms,
            () if self.objective is None else self.objective.goal_names,
            config.model,
            config.adaptation,
            config.planner,
            config.window,
            provenance,
            # without scenarios there is no robot's file that would have shaping terms
            config.shaping and config.scenarios is not None,
            config.value,
            learned_reward=config.learned_reward,
            learned_termination=config.learned_termination,
        )


def new_learned(config: TrainConfig, spec: RobotSpec) -> tuple[LearnedReward | None, LearnedTermination | None]:
    """The learned reward and the learned termination that a run begins with; None for what it does not learn."""
    reward, termination = config.learned_reward, config.learned_termination
    return (
        None if reward is None else LearnedReward(spec, reward, config.seed),
        None if termination is None else LearnedTermination(spec, termination, config.seed),
    )


def new_value(config: TrainConfig, spec: RobotSpec, objective: Objective | None) -> ValueFunction | None:
    """The terminal value that a run begins with; None if the configuration asks for none.

    Raises:
        ConfigError: the objective cannot have one.
    """
    if config.value is None:
        return None
    if objective is None and config.learned_reward is None:
        raise ConfigError("key 'value': there is no reward to fit it to; allowed: give 'objective', or leave 'value' out")
    return ValueFunction(spec, config.value, () if objective is None else objective.goal_names, config.seed)
