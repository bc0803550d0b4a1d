"""What is it worth to cut the window at a change of dynamics, and how much of that does the gate find?

Usage: python benchmarks/gate_errors.py RUN [--checkpoint NAME] --out FILE

RUN is the folder of a finished `adaptive-mbrl train`, whose held-out episodes are taken without their branches. At every control
step the belief from each number of newest transitions predicts the next 10 steps open loop. What differs is which belief
is used:

    prior               none of the transitions
    whole window        all of them
    gate                what the gate of the controller chooses, by what was known until then
    cut at the change   those since the last change, which no controller knows
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.control.gate import GateConfig, chosen_length, initial_gate, weighed
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.data.windows import Windows, WindowSampler
from adaptive_mbrl.meta.losses import query_errors
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.storage import write_text_atomically
from sim.scenarios.loading import parse_scenario

Depths = NDArray[np.int64]
HORIZON = 10
SOON = 16
"""Number of control steps after a change that are reported apart."""


def main(run: tyro.conf.Positional[Path], out: Path, checkpoint: str | None = None) -> None:
    """Predict the episodes and write the figures.

    Args:
        run: folder of a finished training run.
        out: the JSON file.
        checkpoint: the checkpoint; the run's own if None.
    """
    loaded = load_checkpoint(checkpoint or run / "checkpoint")
    held_out = [e for e in EpisodeStore.open(run / "episodes").episodes if e.tags.get("validation")]
    trunk = [e for e in held_out if e.tags["source"] != "branch" and not e.ended]
    episodes = [e for e in trunk if len(e) == max(map(len, trunk))]
    window = loaded.description.window
    one_step, open_loop = errors_by_depth(loaded.adapter, episodes, window)
    since = steps_since_change(episodes)[:, : open_loop.shape[1]]
    step = np.arange(open_loop.shape[1])
    whole = np.broadcast_to(np.minimum(step, window), since.shape)
    depths = {
        "prior": np.zeros_like(whole),
        "whole window": whole,
        "gate": gated(loaded.adapter, torch.from_numpy(one_step), window, GateConfig()),
        "cut at the change": np.minimum(whole, since),
    }
    has_changed = since < step
    soon = has_changed & (since < SOON)
    report: dict[str, Any] = {"run": run.name, "episodes": len(episodes), "git_revision": git_revision(), "gate_errors": {}}
    for name, depth in depths.items():
        error = np.take_along_axis(open_loop, depth[..., None], axis=2)[..., 0]
        report["gate_errors"][name] = {"soon": float(error[soon].mean()), "else": float(error[~soon].mean())}
        print(name, report["gate_errors"][name])
    write_text_atomically(out, json.dumps(report, indent=1) + "\n")


@torch.no_grad()
def errors_by_depth(adapter: Adapter[Any], episodes: list[Episode], window: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Errors of the beliefs from the newest 0 to `window` transitions at every step: one step ahead, and 1 to `HORIZON` steps.

    Returns:
        Both (E, steps, window + 1) in target stds, RMS over channels.
    """
    one_step, open_loop = [], []
    for episode in episodes:
        sampler = WindowSampler([episode], window, HORIZON)
        windows = sampler.at(torch.arange(len(sampler)))
        found = [_errors(adapter, windows, depth) for depth in range(window + 1)]
        one_step.append(torch.stack([e[:, 0] for e in found], dim=1))
        open_loop.append(torch.stack([e.mean(1) for e in found], dim=1))
    return torch.stack(one_step).numpy(), torch.stack(open_loop).numpy()


def _errors(adapter: Adapter[Any], windows: Windows, depth: int) -> Tensor:
    predictor = adapter.condition(adapter.infer(windows.recent.newest(depth)))
    return query_errors(predictor, windows).mean(0).square().mean(-1).sqrt()


def steps_since_change(episodes: list[Episode]) -> Depths:
    """Number of control steps since the last change, or since the beginning, at each step of each episode, (E, T)."""
    rows = []
    for episode in episodes:
        changes = [c.at for c in parse_scenario(episode.tags["scenario"], Path("episode")).changes]
        rows.append([t - max((at for at in changes if at <= t), default=0) for t in range(len(episode))])
    return np.array(rows)


def gated(adapter: Adapter[Any], one_step: Tensor, window: int, config: GateConfig) -> Depths:
    """From how many transitions the belief is that the gate chooses, 0 for the prior, (E, steps)."""
    episodes, steps, _ = one_step.shape
    gate = initial_gate(adapter, episodes, config, one_step.device)
    chosen = [torch.zeros(episodes, dtype=torch.int64)]
    for t in range(steps - 1):
        depth = gate.length.clamp(max=min(t, window))
        errors = one_step[:, t].gather(1, torch.cat([torch.zeros_like(depth[:, :1]), depth], dim=1))
        gate = weighed(gate, errors, torch.ones(episodes, dtype=torch.bool), config)
        gate = gate._replace(length=gate.length + 1)
        chosen.append(chosen_length(gate).clamp(max=min(t + 1, window)))
    return torch.stack(chosen, dim=1).numpy()


if __name__ == "__main__":
    tyro.cli(main)
