"""Meta-training in simulation: collect, fit, save; round after round, resumable after each.

Round 0 fits the model to random and oracle episodes. Every later round collects episodes with the controller of the round
before and fits again; the last one only fits. A run is a folder:

    config.yaml, git_revision.txt    what was asked for, resolved
    episodes/                        all data, one file per round that collected
    rounds/NNN/                      checkpoint, optimiser state and figures after round NNN; complete or not there at all
    tensorboard/                     scalars
    checkpoint                       copy of the last round's checkpoint, written when the run is complete
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from adaptive_mbrl.adaptation import AdaptationConfig
from adaptive_mbrl.checkpoint import FORMAT_VERSION, Checkpoint, Description, load_weights, save_checkpoint
from adaptive_mbrl.config import bounded, load_yaml, save_yaml
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episodes import Episode, EpisodeStore
from adaptive_mbrl.data.windows import WindowSampler
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from adaptive_mbrl.planning import PlannerConfig, make_planner
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.storage import atomic_folder, write_text_atomically
from sim.diagnostics import rank_correlation
from sim.distribution import ScenarioDistribution
from sim.policies import ControllerPolicy, OraclePolicy, Policy, RandomPolicy
from sim.robot import load_robot
from sim.rollout import Rollouts, run_scenarios
from sim.scenario import Scenario, load_scenario


@dataclass(frozen=True)
class DataConfig:
    """Where the training episodes come from.

    Attributes:
        steps: control steps of an episode.
        random_episodes: with coloured noise, in round 0.
        oracle_episodes: with the oracle planner, in round 0; its simulator steps are counted apart.
        oracle_planner: the oracle's planner.
        iterations: rounds of collection with the current controller.
        episodes_per_iteration: episodes of each of them.
        action_noise: std of noise on oracle and controller actions [half ranges]; a third of the episodes each gets none, half
            and all of it.
        validation_fraction: share of episodes held out from every collection.
        episodes_from: take the episodes of this run and collect none; for comparisons on the same data.
    """

    steps: int = bounded(200, low=2)
    random_episodes: int = bounded(16, low=0)
    oracle_episodes: int = bounded(0, low=0)
    oracle_planner: PlannerConfig = PlannerConfig()
    iterations: int = bounded(8, low=0)
    episodes_per_iteration: int = bounded(16, low=1)
    action_noise: float = bounded(0.2, low=0.0, high=2.0)
    validation_fraction: float = bounded(0.1, low=0.0, high=0.5)
    episodes_from: Path | None = None


@dataclass(frozen=True)
class TrainConfig:
    """A meta-training run.

    Attributes:
        scenarios: what training draws episodes from: a split and its part, e.g. ``half_cheetah/cadm_cripple:train``.
        seed: of everything.
        model: the dynamics model.
        adaptation: the rule.
        outer: the outer loop.
        planner: of the controller, while training and in the checkpoint.
        data: the episodes.
        updates_initial: outer steps of round 0.
        updates_per_iteration: outer steps after each collection.
        updates_final: outer steps of the last round, which collects nothing.
    """

    scenarios: str
    seed: int = bounded(0, low=0)
    model: ModelConfig = ModelConfig()
    adaptation: AdaptationConfig = AdaptationConfig()
    outer: OuterConfig = OuterConfig()
    planner: PlannerConfig = PlannerConfig()
    data: DataConfig = field(default_factory=DataConfig)
    updates_initial: int = bounded(2000, low=1)
    updates_per_iteration: int = bounded(1000, low=1)
    updates_final: int = bounded(4000, low=0)


@dataclass(frozen=True)
class RoundRecord:
    """Figures after a round; counts are totals since the run began.

    Attributes:
        batches: of the episode store.
        env_steps: control steps of training episodes.
        oracle_steps: control steps that the oracle simulated to choose its actions.
        updates: outer steps.
        seconds: computing time.
        scalars: of this round.
    """

    batches: int
    env_steps: int
    oracle_steps: int
    updates: int
    seconds: float
    scalars: dict[str, float] = field(default_factory=dict)


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
        distribution = load_scenario(config.scenarios)
        if not isinstance(distribution, ScenarioDistribution):
            raise ConfigError(
                f"key 'scenarios': '{config.scenarios}' is a single scenario; training needs a split's part, e.g. NAME:train"
            )
        self.distribution = distribution
        self.robot = load_robot(distribution.robot)
        self._claim_folder()
        self.trainer = MetaTrainer(self.robot.spec, config.model, config.adaptation, config.outer, config.seed, device)
        done = sorted(p for p in (run / "rounds").glob("[0-9]*") if p.name.isdigit())
        self.next_round = len(done)
        self.record = load_yaml(done[-1] / "round.yaml", RoundRecord) if done else RoundRecord(0, 0, 0, 0, 0.0)
        if done:
            load_trainer_state(self.trainer, done[-1])
        source = config.data.episodes_from
        self.store = (
            EpisodeStore.open(source / "episodes", self.robot.spec)
            if source
            else EpisodeStore.open(run / "episodes", self.robot.spec, self.record.batches)
        )

    @property
    def num_rounds(self) -> int:
        return 1 + self.config.data.iterations + (self.config.updates_final > 0)

    def run_round(self, index: int) -> None:
        """Collect, fit, validate, save."""
        begun = time.monotonic()
        scalars: dict[str, float] = {}
        oracle_steps = self.record.oracle_steps
        last = index == self.num_rounds - 1 and self.config.updates_final > 0
        if self.config.data.episodes_from is None and not last:
            if index == 0:
                episodes, steps = self._initial_episodes()
                oracle_steps += steps
            else:
                episodes, scalars = self._on_policy_episodes(index)
            self.store.append(episodes)
        scalars |= self._fit(index, self._updates(index, last))
        self.record = RoundRecord(
            self.store.num_batches,
            self.store.num_steps,
            oracle_steps,
            self.trainer.updates_done,
            self.record.seconds + time.monotonic() - begun,
            scalars,
        )
        self._save(index)

    def publish(self) -> Path:
        """Copy the last round's checkpoint to `checkpoint/`, without the optimiser state."""
        target = self.folder / "checkpoint"
        if not target.exists():
            source = self.folder / "rounds" / f"{self.num_rounds - 1:03d}"
            with atomic_folder(target) as temporary:
                for name in ("checkpoint.yaml", "weights.safetensors"):
                    shutil.copy(source / name, temporary / name)
        return target

    def controller(self, seed: int) -> AdaptiveController:
        """The controller with the present parameters."""
        planner = make_planner(self.robot.spec, self.config.planner, seed, self.device)
        window = self.config.adaptation.window
        return AdaptiveController(self.robot.spec, self.trainer.adapter, planner, self.robot.objective, window)

    def _updates(self, index: int, last: bool) -> int:
        if index == 0:
            return self.config.updates_initial
        return self.config.updates_final if last else self.config.updates_per_iteration

    def _scenarios(self, num: int, stream: tuple[int, ...]) -> list[Scenario]:
        rng = np.random.default_rng([self.config.seed, *stream])
        return [self.distribution.sample(rng, self.config.data.steps) for _ in range(num)]

    def _initial_episodes(self) -> tuple[list[Episode], int]:
        data, spec = self.config.data, self.robot.spec
        oracle = OraclePolicy(spec, data.oracle_planner, self.config.seed)
        random = RandomPolicy(spec, self.config.seed, data.steps)
        episodes = self._collect(random, "random", data.random_episodes, (0, 0), noise=0.0)
        episodes += self._collect(oracle, "oracle", data.oracle_episodes, (0, 1), noise=data.action_noise)
        if not episodes:
            raise ConfigError("key 'data': random_episodes and oracle_episodes are both 0; round 0 needs episodes")
        return episodes, oracle.steps_simulated

    def _on_policy_episodes(self, index: int) -> tuple[list[Episode], dict[str, float]]:
        data, horizon = self.config.data, self.config.planner.horizon
        controller = self.controller(self.config.seed * 1000 + index)
        policy = ControllerPolicy(controller, bfloat16=self.config.outer.precision == "bfloat16")
        snapshots = [t for t in (data.steps // 4, data.steps // 2) if t + horizon <= data.steps]
        scenarios = self._scenarios(data.episodes_per_iteration, (index, 2))
        rollouts = self._run(policy, "policy", scenarios, index, data.action_noise, snapshots)
        scalars = {
            "collect/return": float(np.mean([e.reward.sum() for e in rollouts.episodes])),
            "collect/adapted_error": float(np.nanmean([i.adapted_error for i in rollouts.infos])),
            "collect/prior_error": float(np.nanmean([i.prior_error for i in rollouts.infos])),
        }
        horizons = sorted({h for h in (1, 5, 10, horizon) if h <= horizon})
        for h, value in rank_correlation(self.robot, controller, rollouts, horizons).items():
            scalars[f"rank_correlation/{h}_steps"] = value
        return self._with_validation_tags(rollouts.episodes), scalars

    def _collect(self, policy: Policy, source: str, num: int, stream: tuple[int, ...], noise: float) -> list[Episode]:
        if num == 0:
            return []
        rollouts = self._run(policy, source, self._scenarios(num, stream), stream[-1], noise, ())
        tqdm.write(f"  {source}: {num} episodes, mean return {np.mean([e.reward.sum() for e in rollouts.episodes]):.1f}")
        return self._with_validation_tags(rollouts.episodes)

    def _run(
        self, policy: Policy, source: str, scenarios: list[Scenario], stream: int, noise: float, snapshots: Sequence[int]
    ) -> Rollouts:
        # a third of the robots each: without, with half and with full noise
        share = noise * 0.5 * (np.arange(len(scenarios)) % 3)
        with tqdm(total=self.config.data.steps, desc=f"collect ({source})", unit="step", leave=False) as bar:
            return run_scenarios(
                self.robot,
                scenarios,
                policy,
                source=source,
                action_noise=share,
                noise_seed=self.config.seed + 7919 * stream,
                snapshot_steps=snapshots,
                hook=lambda t, simulation: bar.update(),
            )

    def _with_validation_tags(self, episodes: Sequence[Episode]) -> list[Episode]:
        held_out = round(len(episodes) * self.config.data.validation_fraction)
        return [dataclasses.replace(e, tags={**e.tags, "validation": i < held_out}) for i, e in enumerate(episodes)]

    def _fit(self, index: int, updates: int) -> dict[str, float]:
        window, query = self.config.adaptation.window, self.config.outer.query
        training = [e for e in self.store.episodes if not e.tags.get("validation")]
        validation = [e for e in self.store.episodes if e.tags.get("validation")] or training
        sampler = WindowSampler(training, window, query, self.device)
        held_out = WindowSampler(validation, window, query, self.device)
        with tqdm(total=updates, desc=f"round {index}/{self.num_rounds - 1} fit", unit="update", leave=False) as bar:

            def progress(done: int, loss: float) -> None:
                bar.update(done - bar.n)
                bar.set_postfix(loss=f"{loss:.3f}")

            scalars = self.trainer.fit(sampler, updates, progress)
        return scalars | self.trainer.validate(held_out) | self.trainer.gradient_conflict(sampler)

    def _save(self, index: int) -> None:
        writer = SummaryWriter(str(self.folder / "tensorboard"))
        for name, value in self.record.scalars.items():
            writer.add_scalar(name, value, self.record.env_steps)
        writer.close()
        with atomic_folder(self.folder / "rounds" / f"{index:03d}") as temporary:
            save_checkpoint(temporary / "new", Checkpoint(self._description(), self.trainer.adapter))
            for path in (temporary / "new").iterdir():
                path.rename(temporary / path.name)
            (temporary / "new").rmdir()
            save_trainer_state(self.trainer, temporary)
            save_yaml(temporary / "round.yaml", self.record)
        shown = {k: v for k, v in self.record.scalars.items() if k.startswith(("collect/return", "validation", "rank"))}
        figures = ", ".join(f"{k} {v:.3f}" for k, v in shown.items())
        counts = f"{self.record.env_steps} env steps, {self.record.oracle_steps} oracle steps, {self.record.seconds:.0f} s"
        tqdm.write(f"round {index}: {counts}; {figures}")

    def _description(self) -> Description:
        provenance = {
            "scenarios": self.config.scenarios,
            "env_steps": self.record.env_steps,
            "oracle_steps": self.record.oracle_steps,
            "updates": self.record.updates,
            "seconds": round(self.record.seconds, 1),
            "git_revision": git_revision() or "unknown",
            "outer": self.config.outer.outer,
        }
        objective = self.robot.objective
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
        path = self.folder / "config.yaml"
        if not path.exists():
            save_yaml(path, self.config)
            write_text_atomically(self.folder / "git_revision.txt", (git_revision() or "unknown") + "\n")
        elif load_yaml(path, TrainConfig) != self.config:
            raise ConfigError(
                f"{path}: this run was started with another configuration; choose another --run folder or delete it"
            )


def save_trainer_state(trainer: MetaTrainer, folder: Path) -> None:
    """Optimiser, random generator and counters, as tensors."""
    tensors = {"generator": trainer.generator.get_state(), "updates": torch.tensor(trainer.updates_done)}
    for index, state in trainer.optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value).detach().cpu().clone()
    save_file(tensors, folder / "trainer.safetensors")


def load_trainer_state(trainer: MetaTrainer, folder: Path) -> None:
    """Inverse of `save_trainer_state`, with the model's weights from the checkpoint in the same folder."""
    try:
        tensors = load_file(folder / "trainer.safetensors")
        weights = load_file(folder / "weights.safetensors")
    except Exception as error:
        raise CheckpointError(f"{folder}: damaged training state: {error}") from error
    load_weights(trainer.adapter, weights, folder / "weights.safetensors")
    trainer.generator.set_state(tensors.pop("generator"))
    trainer.updates_done = int(tensors.pop("updates"))
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        _, index, name = key.split(".")
        state.setdefault(int(index), {})[name] = value
    content = trainer.optimizer.state_dict()
    trainer.optimizer.load_state_dict({**content, "state": state})
