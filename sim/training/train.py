"""Meta-training in simulation: collect, fit, save; round after round, resumable after each.

Round 0 fits the model to random and oracle episodes. Every later round collects episodes with the controller of the round
before and fits again; the last one only fits. A run is a folder:

    config.yaml                      what was asked for, resolved
    robot.yaml, scenarios.yaml       copies of the files it names
    git_revision.txt                 of the source tree at the start
    episodes/                        all data, one file per round that collected
    rounds/NNN/                      checkpoint, optimiser state and figures after round NNN; complete or not there at all
    tensorboard/                     scalars
    checkpoint                       copy of the last round's checkpoint, written when the run is complete
"""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from adaptive_mbrl.checkpoint import (
    FORMAT_VERSION,
    Checkpoint,
    Description,
    load_checkpoint,
    save_checkpoint,
    write_checkpoint_files,
)
from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.planning import make_planner
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.storage import atomic_folder, remove_leftovers, write_text_atomically
from sim.episodes.collect import Collected, Collector
from sim.paths import find_config
from sim.robot.robot import load_robot
from sim.scenarios.distribution import ScenarioDistribution
from sim.scenarios.loading import find_scenario, load_scenario
from sim.training.config import TrainConfig
from sim.training.rounds import RoundRecord, load_trainer_state, require_complete_run, save_trainer_state


def train(config: TrainConfig, run: Path, device: torch.device | str = "cpu") -> Path:
    """Run or resume a training.

    Returns:
        The folder of the final checkpoint.
    """
    training = Training(config, run, torch.device(device))
    for index in range(training.next_round, training.num_rounds):
        training.run_round(index)
    return training.publish()


class Training:
    """One run; each round reads only what earlier rounds have left on disk, so that a resumed run continues identically."""

    def __init__(self, config: TrainConfig, run: Path, device: torch.device) -> None:
        self.config, self.folder, self.device = config, run, device
        # of the code that is running: the checkout may change during a long training
        self.revision = git_revision() or "unknown"
        distribution = load_scenario(config.scenarios)
        if not isinstance(distribution, ScenarioDistribution):
            raise ConfigError(
                f"key 'scenarios': '{config.scenarios}' is a single scenario; training needs a split's part, e.g. NAME:train"
            )
        self.distribution = distribution
        self.robot = load_robot(distribution.robot)
        source = config.data.episodes_from
        if source is not None:
            require_complete_run(source)
            EpisodeStore.check(source / "episodes", self.robot.spec)
        self.trainer = MetaTrainer(self.robot.spec, config.model, config.adaptation, config.outer, config.seed, device)
        self._claim_folder()
        done = sorted(p for p in (run / "rounds").glob("[0-9]*") if p.name.isdigit())
        self.next_round = len(done)
        self.record = load_yaml(done[-1] / "round.yaml", RoundRecord) if done else RoundRecord(0, 0, 0, 0, 0, 0.0)
        if done:
            load_trainer_state(self.trainer, done[-1])
        own = 0 if source else self.record.batches
        self.store = EpisodeStore.open((source or run) / "episodes", self.robot.spec, own)

    @cached_property
    def writer(self) -> SummaryWriter:
        """Scalars over outer steps; opened when there is something to write, so that a finished run is left alone."""
        return SummaryWriter(str(self.folder / "tensorboard"))

    @property
    def num_rounds(self) -> int:
        return 1 + self.config.data.iterations + (self.config.updates_final > 0)

    def run_round(self, index: int) -> None:
        """Collect, fit, validate, save."""
        begun = time.monotonic()
        about: dict[str, Any] = {}
        last = index == self.num_rounds - 1 and self.config.updates_final > 0
        if self.config.data.episodes_from is None and not last:
            # a round that was interrupted after its collection finds its episodes on disk
            if self.store.num_batches == index:
                collected = self._collect(index)
                seconds = time.monotonic() - begun
                costs = {"oracle_steps": collected.oracle_steps, "scalars": collected.scalars, "seconds": seconds}
                self.store.append(collected.episodes, costs)
                begun = time.monotonic()
            about = self.store.abouts[index]
        scalars: dict[str, float] = dict(about.get("scalars", {}))
        scalars |= self._fit(index, self._updates(index, last))
        branch_steps = sum(len(e) - e.history for e in self.store.episodes if e.tags.get("source") == "branch")
        self.record = RoundRecord(
            self.store.num_batches,
            self.store.num_steps - branch_steps,
            branch_steps,
            sum(a.get("oracle_steps", 0) for a in self.store.abouts),
            self.trainer.updates_done,
            self.record.seconds + about.get("seconds", 0.0) + time.monotonic() - begun,
            scalars,
        )
        self._save(index)

    def publish(self) -> Path:
        """Copy the last round's checkpoint to `checkpoint/`, without the optimiser state."""
        target = self.folder / "checkpoint"
        if not target.exists():
            save_checkpoint(target, load_checkpoint(self.folder / "rounds" / f"{self.num_rounds - 1:03d}"))
        return target

    def controller(self, seed: int) -> AdaptiveController:
        """The controller with the present parameters."""
        planner = make_planner(self.robot.spec, self.config.planner, seed, self.device)
        window, bfloat16 = self.config.adaptation.window, self.config.outer.precision == "bfloat16"
        return AdaptiveController(
            self.robot.spec, self.trainer.adapter, planner, self.robot.planning_objective, window, bfloat16=bfloat16
        )

    def _collect(self, index: int) -> Collected:
        config = self.config
        collector = Collector(config.data, self.robot, self.distribution, config.planner, config.adaptation.window, config.seed)
        if index == 0:
            return collector.initial()
        return collector.on_policy(index, self.controller(config.seed * 1000 + index))

    def _updates(self, index: int, last: bool) -> int:
        if index == 0:
            return self.config.updates_initial
        return self.config.updates_final if last else self.config.updates_per_iteration

    def _fit(self, index: int, updates: int) -> dict[str, float]:
        window, query = self.config.adaptation.window, self.config.outer.query
        training = [e for e in self.store.episodes if not e.tags.get("validation")]
        validation = [e for e in self.store.episodes if e.tags.get("validation")]
        sampler = WindowSampler(training, window, query, self.device)
        with tqdm(total=updates, desc=f"round {index}/{self.num_rounds - 1} fit", unit="update", leave=False) as bar:

            def report(done: int, scalars: dict[str, float]) -> None:
                bar.update(done - bar.n)
                if "train/query_loss" in scalars:
                    bar.set_postfix(loss=f"{scalars['train/query_loss']:.3f}")
                self._log(scalars)

            scalars = self.trainer.fit(sampler, updates, report)
        if validation:
            scalars |= self.trainer.validate(WindowSampler(validation, window, query, self.device))
        return scalars | self.trainer.gradient_conflict(sampler)

    def _log(self, scalars: dict[str, float]) -> None:
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, self.trainer.updates_done)

    def _save(self, index: int) -> None:
        self._log(self.record.scalars | {"env_steps": self.record.env_steps})
        self.writer.flush()
        with atomic_folder(self.folder / "rounds" / f"{index:03d}") as temporary:
            write_checkpoint_files(temporary, Checkpoint(self._description(), self.trainer.adapter))
            save_trainer_state(self.trainer, temporary)
            save_yaml(temporary / "round.yaml", self.record)
        shown = {k: v for k, v in self.record.scalars.items() if k.startswith(("collect/return", "validation", "rank"))}
        figures = ", ".join(f"{k} {v:.3f}" for k, v in shown.items())
        record = self.record
        steps = f"{record.env_steps} env, {record.branch_steps} branch, {record.oracle_steps} oracle steps"
        tqdm.write(f"round {index}: {steps}; {record.seconds:.0f} s; {figures}")

    def _description(self) -> Description:
        provenance = {
            "scenarios": self.config.scenarios,
            "env_steps": self.record.env_steps,
            "branch_steps": self.record.branch_steps,
            "oracle_steps": self.record.oracle_steps,
            "updates": self.record.updates,
            "seconds": round(self.record.seconds, 1),
            "git_revision": self.revision,
            "outer": self.config.outer.outer,
        }
        objective = self.robot.planning_objective
        config = self.config
        return Description(
            FORMAT_VERSION,
            self.robot.spec,
            objective.terms,
            objective.goal_names,
            config.model,
            config.adaptation,
            config.planner,
            provenance,
        )

    def _claim_folder(self) -> None:
        """Write beside the run what it depends on, or make sure that nothing of it has changed since."""
        path = self.folder / "config.yaml"
        described = {
            "robot.yaml": find_config("robots", self.distribution.robot).read_text(),
            "scenarios.yaml": find_scenario(self.config.scenarios)[0].read_text(),
        }
        if not path.exists():
            for name, text in described.items():
                write_text_atomically(self.folder / name, text)
            write_text_atomically(self.folder / "git_revision.txt", self.revision + "\n")
            # last: a folder with a configuration is a run
            save_yaml(path, self.config)
            return
        if load_yaml(path, TrainConfig) != self.config:
            raise ConfigError(
                f"{path}: this run was started with another configuration; choose another --run folder or delete it"
            )
        for name, text in described.items():
            if (self.folder / name).read_text() != text:
                raise ConfigError(
                    f"{self.folder / name}: this run was started with another content of that file; choose another --run folder"
                )
        for folder in (self.folder, self.folder / "rounds", self.folder / "episodes"):
            remove_leftovers(folder)
