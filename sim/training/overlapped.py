"""A training whose episodes are collected while it fits, by collectors in other processes.

Round 0 is that of a training that alternates. Then, while round k fits, collectors collect iteration k with the checkpoint of
round k - 1, and round k + 1 begins when both have ended. So the number of episodes and of updates is the same, and what an
iteration collects is fitted to one round later. The last round begins when everything is collected.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import torch

from adaptive_mbrl.data.batch_facts import BatchFacts
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.training.execution import Execution
from adaptive_mbrl.training.published import publish
from adaptive_mbrl.training.rounds import round_folder
from adaptive_mbrl.training.seen import PUSHED, SEEN, Seen, first_batches, save_seen, seen_by, takes_batches
from sim.training.collecting import collect_part
from sim.training.collectors import Collectors, Engine
from sim.training.local_engine import LocalEngine
from sim.training.parts import Plan, repeated_batches
from sim.training.train import SimulatedTraining, open_training, train

EngineName = Literal["local", "ray"]


def train_with_collectors(
    config: TrainConfig,
    run: Path,
    device: torch.device | str = "cpu",
    collectors: int = 0,
    engine: EngineName = "local",
    execution: Execution = Execution(),  # noqa: B008
) -> Path:
    """Run or resume a training whose episodes are collected while it fits. A run may go on with another number of collectors.

    Args:
        config: the configuration of the run.
        run: the run folder; a new one is made, an existing one must be of the same run.
        device: where the model is trained.
        collectors: number of collectors. With 0 nothing is collected while the training fits: it alternates, as `train` does.
        engine: where collectors run: as processes of this machine, or as actors of a Ray cluster.
        execution: how the training is carried out.

    Returns:
        The folder of the final checkpoint.

    Raises:
        CollectorError: no collector works.
    """
    if collectors == 0 and not takes_batches(run):
        return train(config, run, device, execution)
    if config.data.episodes_from is not None or config.data.iterations == 0:
        key = "data.iterations" if config.data.episodes_from is None else "data.episodes_from"
        raise ConfigError(f"key '{key}': nothing is left for collectors; allowed: no --collectors, or a training that collects")
    num = min(collectors, config.data.episodes_per_iteration)
    kind = functools.partial(OverlappedTraining, num=num, engine=engine)
    with open_training(config, run, torch.device(device), execution, kind) as training:
        return training.run()


class OverlappedTraining(SimulatedTraining):
    """A training in simulation with collectors.

    Args:
        arguments: those of `SimulatedTraining`.
        num: number of collectors; 0 collects in this process, between the fits.
        engine: where they run.
    """

    def __init__(self, *arguments: Any, num: int, engine: EngineName) -> None:
        super().__init__(*arguments)
        self._num, self._engine = num, engine
        self._collectors: Collectors | None = None
        data = self.config.data
        size = -(-data.episodes_per_iteration // max(1, num))
        self._plan = Plan(data.iterations, data.episodes_per_iteration, size, self.store.abouts)
        self._facts = BatchFacts(self.folder / "episodes")
        (self.folder / SEEN).mkdir(exist_ok=True)

    def run(self) -> Path:
        """Run all rounds that are left, and return the folder of the final checkpoint."""
        is_needed = self.process.is_main and self._num > 0 and not self._plan.is_complete(self.config.data.iterations)
        with Collectors(self._make_engine(), self._num, self._plan, self.folder) if is_needed else nullcontext() as collectors:
            self._collectors = collectors
            if 0 < self.next_round < self.num_rounds:
                self._publish(self.next_round - 1)
            return super().run()

    def run_round(self, index: int) -> None:
        """Take up what was collected, fit, validate, save and publish; collectors go on with what was saved."""
        begun = time.monotonic()
        scalars = self._take_up(index)
        waited = time.monotonic() - begun
        with self.stop.deferred():
            self._fit_and_save(index, waited, scalars)
            self._publish(index)

    def _take_up(self, index: int) -> dict[str, float]:
        """Open the batches that round `index` is fitted to, and return figures about those that are new."""
        is_settled = seen_by(self.folder, index) is not None
        # nobody settles it before all have looked
        self.process.barrier()
        # a robot's episodes may be there before the first ones of the training
        if not is_settled and index == 0 and all(PUSHED in about for about in self.store.abouts):
            self.collect(0)
        if not is_settled and self.process.is_main:
            save_seen(self.folder, index, self._now_seen(index))
        self.process.barrier()
        seen = seen_by(self.folder, index)
        assert seen is not None
        self.store = first_batches(self.folder / "episodes", self.spec, seen.batches)
        repeated = repeated_batches(self.store.abouts, self.config.data.episodes_per_iteration)
        self.store.episodes = [episode for episode in self.store.episodes if episode.batch not in repeated]
        new = {n: self.store.abouts[n] for n in range(self.record.batches, seen.batches) if n not in repeated}
        self._tell_status(new)
        figures: dict[str, list[float]] = {}
        for about in new.values():
            for name, value in about.get("scalars", {}).items():
                figures.setdefault(name, []).append(value)
        staleness = [float(value) for value in seen.staleness if value >= 0]
        if self.process.is_main:
            for value in staleness:
                self.recorder.scalars({"collect/staleness_of_batch": value}, self.trainer.updates_done)
        if staleness:
            figures |= {"collect/staleness": staleness, "collect/max_staleness": [max(staleness)]}
        return {name: sum(values) / len(values) for name, values in figures.items()} | {"collect/new_batches": float(len(new))}

    def _tell_status(self, new: Mapping[int, Mapping[str, Any]]) -> None:
        """Let the line of the round say how fast the new batches were collected.

        Args:
            new: facts about those that count, by their numbers.
        """
        collected = {number: about for number, about in new.items() if "seconds" in about}
        if not collected:
            return
        counted = [e for e in self.store.episodes if e.batch in collected and not e.is_branch]
        parts = [about["part"]["num"] for about in collected.values() if "part" in about]
        # the first episodes of all are collected in this process alone
        at_once = max(1, self._num) if parts else 1
        seconds = sum(about["seconds"] for about in collected.values()) / at_once
        per_round = seconds * self.config.data.episodes_per_iteration / sum(parts) if parts else None
        self.status.collected_batches(sum(len(e) - e.history for e in counted), seconds, per_round, while_fitting=self._num > 0)

    def _now_seen(self, index: int) -> Seen:
        """Wait for the episodes that round `index` needs, and settle what it sees."""
        if index > 0:
            self._wait_for(min(self.config.data.iterations, index if index == self.num_rounds - 1 else index - 1))
        facts, updates = self._facts.read(), self.trainer.updates_done
        repeated = repeated_batches(facts, self.config.data.episodes_per_iteration)
        new = [(about, number not in repeated) for number, about in enumerate(facts)][self.record.batches :]
        return Seen(len(facts), tuple(updates - a["updates"] if "part" in a and counts else -1 for a, counts in new))

    def _wait_for(self, iteration: int) -> None:
        if self._collectors is not None:
            self._collectors.wait_for(iteration)
            return
        while (part := self._plan.next(iteration)) is not None:
            checkpoint = round_folder(self.folder, part.iteration - 1)
            arguments = (self.config, self.robot, self.distribution, part, checkpoint, self.dump_folder)
            EpisodeStore(self.spec, self.folder / "episodes").append(*collect_part(*arguments))
            self._plan.count(self._facts.read())
            self._plan.give_back(part)

    def _publish(self, index: int) -> None:
        if self.process.is_main:
            publish(self.folder, round_folder(self.folder, index), self.trainer.updates_done)
            if self._collectors is not None:
                self._collectors.saved(index)

    def _make_engine(self) -> Engine:
        if self._engine == "local":
            return LocalEngine(self.folder, self._num)
        from sim.training.ray_engine import RayEngine

        return RayEngine(self.config, self.spec, self.folder, self._num)
