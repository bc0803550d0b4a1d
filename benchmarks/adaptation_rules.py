"""Every adaptation rule on the same data, with the same network and the same number of updates.

Usage: python benchmarks/adaptation_rules.py RUN --held-out STORE [--rules NAME...] [--updates 3000] [--members 1] --out FILE

RUN is the folder of a finished `adaptive-mbrl train`, whose episodes every rule is fitted to. STORE is a folder of episodes under
changes that the run never saw, for example

    adaptive-mbrl collect --scenario quadrotor/anything:validation --policy quadrotor --episodes 12 --out STORE

A figure is the RMS error over channels of open-loop predictions, averaged over 1 to 10 steps ahead: on the run's own held-out
episodes with a full window, and on STORE after k transitions of the new dynamics. FILE keeps the rules that it holds already, so
that rules can be added one by one and an interrupted command goes on.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
import yaml

from adaptive_mbrl.adaptation import NetworkAdapter, Rules, make_adapter
from adaptive_mbrl.config import from_mapping, load_yaml, to_mapping
from adaptive_mbrl.control.step import ControlSettings
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.machine import cpu_model
from adaptive_mbrl.meta.losses import query_errors
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.planning import Score, make_planner
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.runtime import num_threads
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.training.config import TrainConfig
from adaptive_mbrl.transitions import Transitions
from sim.evaluation.evidence import evidence_errors
from sim.robot.robot import load_robot
from sim.scenarios.loading import parse_scenario

RULES = {
    "multi-task": "none",
    "history as input": "history",
    "gradient, 2 steps": "gradient: {steps: 2}",
    "gradient, all parameters (GrBAL)": (
        "gradient: {parameters: all, steps: 1, learning_rate: 1e-3, step_sizes: fixed, second_order: true}"
    ),
    "gradient, Reptile": "gradient: {steps: 2, learning_rate: 0.3, step_sizes: fixed, reptile: true}",
    "gradient, last layer": "gradient: {parameters: last_layer, steps: 2, learning_rate: 0.1, second_order: true}",
    "gradient, low rank": "gradient: {parameters: low_rank, steps: 2, learning_rate: 0.1, second_order: true}",
    "gauss_newton": "gauss_newton",
    "learned_loss": "learned_loss",
    "context": "context",
    "context without action gains": "context: {action_gain: false}",
    "context, backward (CaDM)": "context: {backward: 0.5}",
    "known_parameters (RMA)": "known_parameters",
    "latent (PEARL)": "latent",
    "latent, abstraction (HiP-BMDP)": "latent: {abstraction: 0.01}",
    "recurrent (ReBAL)": "recurrent",
    "recurrent over whole episodes": "recurrent: {carried: 200}",
    "transformer": "transformer",
    "soft_modules": "soft_modules",
    "bayes_linear": "bayes_linear",
    "bayes_linear, adversary (DAIML)": "bayes_linear: {adversary: {count: 256}}",
    "embedding (FAMLE)": "embedding: {count: 256}",
    "multi_head (T-MCL)": "multi_head",
    "mixture (MOLe)": "mixture",
    "context, then gradient": "[{context: {}}, {gradient: {steps: 2}}]",
    "context, then gauss_newton": "[{context: {}}, {gauss_newton: {}}]",
    "context, then bayes_linear": "[{context: {}}, {bayes_linear: {}}]",
    "context without action gains, then bayes_linear": "[{context: {action_gain: false}}, {bayes_linear: {}}]",
    "latent, then gradient": "[{latent: {}}, {gradient: {steps: 2}}]",
}
"""The entry `adaptation` of a training configuration, by the name in the table."""
TIMED_UPDATES = 30


@dataclass(frozen=True)
class Entry:
    """The one key of a training configuration that differs from rule to rule."""

    adaptation: Rules


def main(
    run: tyro.conf.Positional[Path],
    held_out: Path,
    out: Path,
    rules: tuple[str, ...] = tuple(RULES),
    updates: int = 3000,
    members: int = 1,
    seed: int = 0,
) -> None:
    """Fit the rules one after the other.

    Args:
        run: folder of a finished training run.
        held_out: folder of episodes under other changes.
        out: the JSON file.
        rules: names in the table.
        updates: outer steps of each fit.
        members: networks of the ensemble.
        seed: seed of initial weights and of the order of windows.
    """
    config = load_yaml(run / "config.yaml", TrainConfig)
    config = replace(config, seed=seed, model=replace(config.model, members=members))
    store = EpisodeStore.open(run / "episodes")
    others = EpisodeStore.open(held_out, store.spec).episodes
    about = {"run": run.name, "updates": updates, "members": members, "seed": seed, "episodes": len(store.episodes)}
    about |= {"env_steps": store.num_steps, "other_episodes": len(others), "machine": cpu_model(), "threads": num_threads()}
    report = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {**about, "rules": {}}
    different = [name for name, value in about.items() if report[name] != value]
    if different:
        raise ConfigError(f"{out}: was made with another {different[0]}: {report[different[0]]}; give another --out")
    for name in rules:
        if name not in RULES:
            raise ConfigError(f"--rules: unknown '{name}'; allowed: {', '.join(RULES)}")
        settings = to_mapping(chosen(config, name).adaptation)
        if report["rules"].get(name, {}).get("settings") == settings:
            continue
        figures = {"settings": settings, **fitted(chosen(config, name), store, others, updates), "git_revision": git_revision()}
        report["rules"][name] = figures
        out.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomically(out, json.dumps(report, indent=1) + "\n")
        print(
            f"{name}: {figures['held_out_episodes']:.3f}, {figures['other_changes'][-1]:.3f}; {figures['seconds']:.0f} s",
            flush=True,
        )


def chosen(config: TrainConfig, name: str) -> TrainConfig:
    """The configuration with a rule of the table."""
    entry = from_mapping(Entry, {"adaptation": yaml.safe_load(RULES[name])}, source=name)
    return replace(config, adaptation=entry.adaptation)


def fitted(config: TrainConfig, store: EpisodeStore, others: Sequence[Episode], updates: int) -> dict[str, Any]:
    """Fit one rule, and its figures."""
    adapter = make_adapter(DynamicsModel(store.spec, config.model, config.seed), config.adaptation, config.window)
    trainer = MetaTrainer(adapter, config.outer, config.seed)
    training, validation = ([e for e in store.episodes if bool(e.tags.get("validation")) is wanted] for wanted in (False, True))
    window = max(config.window, adapter.carried)
    dataset = EpisodeDataset(store.spec, training, validation, window, config.outer.query)
    begun = time.monotonic()
    trainer.fit(dataset, updates)
    seconds = time.monotonic() - begun
    windows = dataset.held_out(2048)
    assert windows is not None
    with torch.no_grad():
        belief = adapter.infer(windows.recent.newest(config.window))
        errors = query_errors(adapter.condition(belief), windows).mean(0).square().mean(-1).sqrt()
    changes = [parse_scenario(e.tags["scenario"], Path("episode")).last_change for e in others]
    found = evidence_errors(controller_of(adapter, config, store.spec), others, changes)
    return {
        "held_out_episodes": float(errors.mean()),
        "evidence": found.evidence,
        "other_changes": np.nanmean(found.errors, axis=0).tolist(),
        "other_changes_by_episode": found.errors[:, -1].tolist(),
        "seconds": seconds,
        "update_ms": update_ms(adapter, config, store.spec),
    }


def controller_of(adapter: NetworkAdapter, config: TrainConfig, spec: RobotSpec) -> AdaptiveController:
    """A controller, for its predictions only."""
    planner = make_planner(spec, config.planner)
    return AdaptiveController(
        spec, ControlSettings(adapter.eval(), planner, Score(load_robot(spec.name).objective)), config.window
    )


@torch.no_grad()
def update_ms(adapter: NetworkAdapter, config: TrainConfig, spec: RobotSpec) -> float:
    """Median time of one update of one robot's belief [ms]."""
    generator = torch.Generator().manual_seed(0)
    obs, action = (torch.randn(1, config.window, dim, generator=generator) for dim in (spec.obs_dim, spec.action_dim))
    recent = Transitions(obs, action, obs + 0.01, torch.ones(1, config.window, dtype=torch.bool))
    belief, times = adapter.prior(1), []
    for _ in range(TIMED_UPDATES):
        begun = time.perf_counter()
        belief = adapter.update(belief, recent)
        times.append(1e3 * (time.perf_counter() - begun))
    return float(np.median(times))


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except ConfigError as error:
        sys.exit(f"error: {error}")
