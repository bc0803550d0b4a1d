"""A training run in rounds: fit, validate and save, resumable after every round.

Round 0 fits the model to its first episodes. Every later round may collect episodes and fits again; the last round only fits.
Where the episodes come from is the business of whoever runs it: `from_episodes` takes recorded ones, `sim.training` collects. A
run is a folder:

    config.yaml                      what was asked for, resolved
    robot.yaml, scenarios.yaml       copies of the files that the configuration names, where it names some
    git_revision.txt                 git revision of the code that started the run
    lock                             which process is training in this folder; empty when none is
    episodes/                        all data, one file per round that collected
    rounds/NNN/                      checkpoint, optimiser state and figures after round NNN; complete or not there at all
    tensorboard/                     scalars
    dumps/                           steps that were not finite, for `adaptive-mbrl replay`; only if there was one
    checkpoint                       copy of the last round's checkpoint, written when the run is complete

and where episodes are collected while it fits (`seen.py`, `published.py`):

    seen/NNN.yaml                    which batches round NNN is fitted to
    published/NNNNNN                 the newest checkpoints, by number of updates; `published/newest` is a link to the last
    collectors/N.log                 what collector N printed
"""

from __future__ import annotations

import time
from collections.abc import Sequence
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
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.meta.value_fit import fit_value
from adaptive_mbrl.objective import Objective
from adaptive_mbrl.planning.value import ValueFunction
from adaptive_mbrl.process import SINGLE, Process
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.storage import atomic_folder
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.recorder import Recorder
from adaptive_mbrl.training.rounds import RoundRecord, load_trainer_state, save_trainer_state


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
        process: this process among those that train together.
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
        process: Process = SINGLE,
    ) -> None:
        self.config, self.folder, self.device = config, run, device
        self.spec, self.objective, self.revision, self.process = spec, objective, revision, process
        self.adapter: NetworkAdapter = make_adapter(
            DynamicsModel(spec, config.model, config.seed), config.adaptation, config.window
        )
        self.trainer = MetaTrainer(self.adapter, config.outer, config.seed, device, process)
        self.value = new_value(config, spec, objective)
        self.canary: Canary | None = None
        self.recorder = Recorder(run)
        done = sorted(p for p in (run / "rounds").glob("[0-9]*") if p.name.isdigit())
        self.next_round = len(done)
        self.record = self.recorder.load_record(done[-1]) if done else RoundRecord(0, 0, 0, 0, 0, 0.0)
        if done:
            load_trainer_state(self.trainer, done[-1])
            self.value = None if self.value is None else read_value(done[-1], self.value)
        if given is not None and done and given.num_batches != self.record.batches:
            raise ConfigError(
                f"key 'data.episodes_from': {config.data.episodes_from} holds {given.num_batches} batches of episodes, "
                f"but {run} began with {self.record.batches}; choose another --run folder"
            )
        self.store = EpisodeStore.open(run / "episodes", spec, self.record.batches) if given is None else given

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
        for index in range(self.next_round, self.num_rounds):
            self.run_round(index)
        return self.publish()

    def run_round(self, index: int) -> None:
        """Collect, fit, validate and save."""
        begun = time.monotonic()
        about: dict[str, Any] = {}
        last = index == self.num_rounds - 1 and self.config.updates_final > 0
        if self.config.data.episodes_from is None and not last:
            # a round that was interrupted after its collection finds its episodes on disk
            if self.store.num_batches == index:
                self.collect(index)
                self.process.barrier()
                if not self.process.is_main:
                    self.store = EpisodeStore.open(self.folder / "episodes", self.spec, index + 1)
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

    def collect(self, index: int) -> None:
        """Append the episodes of a round to the store; a training that is given its episodes never asks for it."""
        raise NotImplementedError

    def _updates(self, index: int, last: bool) -> int:
        if index == 0:
            return self.config.updates_initial
        return self.config.updates_final if last else self.config.updates_per_iteration

    def _fit(self, index: int, updates: int) -> dict[str, float]:
        window, query = self.config.window, self.config.outer.query
        training = [e for e in self.store.episodes if not e.tags.get("validation")]
        validation = [e for e in self.store.episodes if e.tags.get("validation")]
        dataset = EpisodeDataset(self.spec, training, validation, window, query, self.device, self.config.data.weighting)
        if index in self.config.resets.rounds:
            # other weights than those that the training began with, and others in every round
            reset_layers(self.trainer, self.adapter, self.config.resets.layers, self.config.seed + 7919 * (index + 1))
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
        scalars |= self.trainer.validate(dataset) | self.trainer.gradient_conflict(dataset)
        return scalars | self._fit_value(training, index)

    def _fit_value(self, training: Sequence[Episode], index: int) -> dict[str, float]:
        if self.value is None or self.objective is None:
            return {}
        return fit_value(self.value, training, self.objective, self.config.seed + index)

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
            write_checkpoint_files(temporary, Checkpoint(self.description(), self.adapter, self.canary, self.value))
            save_trainer_state(self.trainer, temporary)
            self.recorder.save_record(temporary, self.record)
        self.recorder.print_round(index, self.record)
        self.process.barrier()

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
        )


def new_value(config: TrainConfig, spec: RobotSpec, objective: Objective | None) -> ValueFunction | None:
    """The terminal value that a run begins with; None if the configuration asks for none.

    Raises:
        ConfigError: the objective cannot have one.
    """
    if config.value is None:
        return None
    if objective is None:
        raise ConfigError("key 'value': there is no reward to fit it to; allowed: give 'objective', or leave 'value' out")
    return ValueFunction(spec, config.value, objective.goal_names, config.seed)
