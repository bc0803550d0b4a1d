"""A canary: a few recorded windows, and what a model predicted about them when its checkpoint was written.

A checkpoint whose predictions have changed since then is damaged, or the code computes something else than it did. Weights that
load without an error show neither.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import map_belief
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.storage import write_bytes_atomically
from adaptive_mbrl.transitions import Transitions

CANARY_FILE = "canary.safetensors"
CANARY_WINDOWS = 8
"""Number of windows that a training or a fine-tuning records."""
TOLERANCE = 1e-3
"""Largest difference of a prediction from the recorded one [stds of the one-step target].

Other processors and versions of torch round differently. Computing in 64 instead of 32 bits moves the predictions of the shipped
checkpoints by 2e-5 at most.
"""


class Canary(NamedTuple):
    """Windows of one robot and one-step predictions at every step of their queries.

    Attributes:
        windows: W windows of K recent transitions and M query steps.
        prior: next observations as predicted before adapting, (W, M, obs_dim) in SI units.
        adapted: next observations as predicted after adapting to the recent transitions, (W, M, obs_dim) in SI units.
    """

    windows: Windows
    prior: Tensor
    adapted: Tensor


def make_canary(adapter: Adapter[Any], windows: Windows) -> Canary:
    """Record what an adapter predicts about windows, which are on its device; the canary is on the CPU."""
    return map_belief(lambda tensor: tensor.detach().cpu(), Canary(windows, *_predictions(adapter, windows)))


def canary_deviation(adapter: Adapter[Any], canary: Canary) -> float:
    """Largest difference of an adapter's predictions from the recorded ones [stds of the one-step target].

    Args:
        adapter: the adapter of the loaded checkpoint, on the CPU.
        canary: what was recorded.

    Returns:
        The difference; infinite where a prediction is not finite.
    """
    recorded = (canary.prior, canary.adapted)
    normalizer = adapter.normalizer
    errors = [normalizer.error(p, r).abs() for p, r in zip(_predictions(adapter, canary.windows), recorded, strict=True)]
    return float(torch.stack(errors).nan_to_num(nan=torch.inf).max())


def recorded_error(adapter: Adapter[Any], canary: Canary) -> float:
    """Mean one-step error after adapting, on the recorded windows: RMS over channels in stds of the one-step target.

    They are of episodes that were held out in training, so that this is what to expect on a robot that is like them.
    """
    device = adapter.normalizer.target_std.device
    error = adapter.normalizer.error(canary.adapted.to(device), canary.windows.obs[:, 1:].to(device))
    return float(error.square().mean(-1).sqrt().mean())


def check_canary(adapter: Adapter[Any], canary: Canary, source: str) -> None:
    """Refuse an adapter that predicts something else than was recorded.

    Args:
        adapter: the adapter of the loaded checkpoint, on the CPU.
        canary: what was recorded.
        source: where the checkpoint is, for the message.

    Raises:
        CheckpointError: a prediction differs by more than `TOLERANCE`.
    """
    deviation = canary_deviation(adapter, canary)
    if deviation > TOLERANCE:
        raise CheckpointError(
            f"{source}: predictions differ from those in {CANARY_FILE} by up to {deviation:.3g} target stds; "
            f"allowed: {TOLERANCE:g}"
        )


def write_canary(folder: Path, canary: Canary) -> None:
    """Write a canary into the folder of a checkpoint."""
    recent, obs, action, _ = canary.windows
    tensors = {f"recent.{name}": tensor for name, tensor in recent._asdict().items()}
    tensors |= {"query.obs": obs, "query.action": action, "prior": canary.prior, "adapted": canary.adapted}
    # clones: safetensors refuses tensors that share memory
    write_bytes_atomically(folder / CANARY_FILE, save({name: t.contiguous().clone() for name, t in tensors.items()}))


def read_canary(folder: Path) -> Canary | None:
    """Read the canary of the checkpoint in a folder; None if it has none, as older checkpoints.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / CANARY_FILE
    if not path.exists():
        return None
    try:
        tensors = load_file(path)
        recent = Transitions(*(tensors[f"recent.{name}"] for name in Transitions._fields))
        obs, action = tensors["query.obs"], tensors["query.action"]
        # predictions do not depend on the situation's number, which is not stored
        windows = Windows(recent, obs, action, torch.zeros(len(obs), dtype=torch.int64))
        return Canary(windows, tensors["prior"], tensors["adapted"])
    except KeyError as error:
        raise CheckpointError(f"{path}: tensor {error} is missing") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged canary: {error}") from error


@torch.no_grad()
def _predictions(adapter: Adapter[Any], windows: Windows) -> tuple[Tensor, Tensor]:
    """One-step predictions at every step of the queries, before and after adapting, each (W, M, obs_dim)."""
    beliefs = adapter.prior(len(windows.obs)), adapter.infer(windows.recent)
    prior, adapted = (adapter.condition(belief).predict(windows.obs[:, :-1], windows.action).mean for belief in beliefs)
    return prior, adapted
