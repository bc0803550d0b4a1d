"""How much could adaptation gain at most? A run's network that knows nothing of the change, adapts, or is told the change.

Usage: python benchmarks/adaptation_ceiling.py RUN [--updates 3000] [--seed 0] [--out docs/results/adaptation_ceiling.json]

RUN is the folder of a finished `adaptive-mbrl train` in simulation. Three models with its network are fitted to its episodes for
the same number of updates:

    multitask   nothing about the change is known
    adaptive    the run's rule has to find it out from the last K transitions
    known       the teacher of the rule `known_parameters` is told the true parameters of the change

A figure is the RMS error over channels of open-loop predictions on the run's held-out episodes, where the change is known. The
distance from `multitask` to `known` is what there is to gain from knowing the parameters. The file keeps the models that it
holds already, if all else is the same, so that an interrupted command goes on.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import tyro

from adaptive_mbrl.adaptation import NetworkAdapter, Rules, make_adapter
from adaptive_mbrl.adaptation.belief import map_belief
from adaptive_mbrl.adaptation.known_parameters import KnownParametersConfig, KnownParametersRule
from adaptive_mbrl.adaptation.network_adapter import Beliefs
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.config import load_yaml, to_mapping
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.machine import cpu_model
from adaptive_mbrl.meta.losses import query_errors
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.runtime import num_threads
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.training.config import TrainConfig

STEPS = (1, 5, 10)
"""How many steps ahead errors are told, as far as the run's query goes."""
HELD_OUT = 2048
KNOWN = "known"
TAUGHT: Rules = (KnownParametersConfig(prior_share=0.0),)
"""The rule of the model `known`; none of its windows is spent on a prior, which is not asked here."""


def main(
    run: tyro.conf.Positional[Path],
    updates: int = 3000,
    seed: int = 0,
    out: Path = Path("docs/results/adaptation_ceiling.json"),
) -> None:
    """Fit the three models and compare them.

    Args:
        run: folder of a finished training run.
        updates: outer steps of each fit.
        seed: seed of initial weights and of the order of windows.
        out: where the figures go.
    """
    config = replace(load_yaml(run / "config.yaml", TrainConfig), seed=seed)
    store = EpisodeStore.open(run / "episodes")
    dataset, windows = data_of(store, config)
    about = {
        "run": run.name,
        "updates": updates,
        "seed": seed,
        "members": config.model.members,
        "episodes": len(store.episodes),
        "env_steps": store.num_steps,
        "windows": len(windows.obs),
        "machine": cpu_model(),
        "threads": num_threads(),
        "git_revision": git_revision(),
    }
    report = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {}
    if {name: report.get(name) for name in about} != about:
        report = {**about, "models": {}}
    for name, rules in (("multitask", (NoneConfig(),)), ("adaptive", config.adaptation), (KNOWN, TAUGHT)):
        if name not in report["models"]:
            found = fitted(replace(config, adaptation=rules), dataset, windows, updates, is_told=name == KNOWN)
            report["models"][name] = found
            out.parent.mkdir(parents=True, exist_ok=True)
            write_text_atomically(out, json.dumps(report, indent=1) + "\n")
        print(name, report["models"][name]["errors"], flush=True)


def data_of(store: EpisodeStore, config: TrainConfig) -> tuple[EpisodeDataset, Windows]:
    """The data of a run, and windows of its held-out episodes, those whose parameters are known.

    Raises:
        ConfigError: nothing is known of the held-out episodes, or there are none.
    """
    training, held_out = ([e for e in store.episodes if bool(e.tags.get("validation")) is wanted] for wanted in (False, True))
    # longer windows for a rule that is carried over more than K transitions; the others see the last K of them
    carried = make_adapter(DynamicsModel(store.spec, config.model), config.adaptation, config.window).carried
    window = max(config.window, carried)
    dataset = EpisodeDataset(store.spec, training, held_out, window, config.outer.query, weighting=config.data.weighting)
    windows, known = dataset.held_out(HELD_OUT), dataset.known_parameters()
    # a parameter that training never had is none that anybody could have learned to use
    learned = {name for numbers in known[: dataset.num_tasks] for name in numbers or ()}
    can_tell = [numbers is not None and numbers.keys() <= learned for numbers in known]
    rows = [] if windows is None else [row for row, task in enumerate(windows.task.tolist()) if can_tell[task]]
    if not rows:
        raise ConfigError(f"{store.folder}: no held-out episode whose change is known; needed: those of a training in simulation")
    return dataset, map_belief(lambda tensor: tensor[rows], windows)


def fitted(config: TrainConfig, dataset: EpisodeDataset, windows: Windows, updates: int, *, is_told: bool) -> dict[str, Any]:
    """Fit one model on the training episodes; its figures on held-out windows, whose parameters it `is_told` or has to find."""
    adapter = make_adapter(DynamicsModel(dataset.spec, config.model, config.seed), config.adaptation, config.window)
    begun = time.monotonic()
    MetaTrainer(adapter, config.outer, config.seed).fit(dataset, updates)
    seconds = time.monotonic() - begun
    with torch.no_grad():
        belief = told(adapter, dataset, windows) if is_told else adapter.infer(windows.recent)
        errors = query_errors(adapter.condition(belief), windows).mean(0).square().mean(-1).sqrt().mean(0)
    return {
        "adaptation": to_mapping(config.adaptation),
        "errors": {str(step): float(errors[step - 1]) for step in STEPS if step <= len(errors)},
        "seconds": seconds,
    }


def told(adapter: NetworkAdapter, dataset: EpisodeDataset, windows: Windows) -> Beliefs:
    """The belief of one who is told the parameters of held-out windows."""
    (rule,) = adapter.rules
    assert isinstance(rule, KnownParametersRule)
    rule.know_situations(dataset.known_parameters(), refit=False)
    return (rule.infer_known(windows, NetworkPredictor(adapter.model)),)


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except ConfigError as error:
        sys.exit(f"error: {error}")
