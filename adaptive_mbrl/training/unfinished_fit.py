"""A fit that is saved while it is going on: it continues with the next outer step, as if nothing had happened."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from adaptive_mbrl.checkpoint import load_weights
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.storage import write_bytes_atomically
from adaptive_mbrl.training.rounds import restore_trainer, trainer_state

FIT_FILE = "fit.safetensors"


class UnfinishedFit(NamedTuple):
    """What is known of a fit besides the trainer's state.

    Attributes:
        round: its round.
        batches: number of batches of episodes that it is about.
        seconds: computing time of the round so far [s].
        losses: of each outer step so far, (updates,); see `FitObserver.updated`.
    """

    round: int
    batches: int
    seconds: float
    losses: Tensor


def save_fit(run: Path, fit: UnfinishedFit, trainer: MetaTrainer) -> None:
    """Write a fit and its trainer into the folder of the run, in the place of the one that was saved before."""
    tensors = {f"trainer.{name}": tensor for name, tensor in trainer_state(trainer).items()}
    tensors |= {f"adapter.{name}": tensor.detach().cpu() for name, tensor in trainer.adapter.state_dict().items()}
    about = {name: torch.tensor(getattr(fit, name), dtype=torch.float64) for name in ("round", "batches", "seconds")}
    content = {name: tensor.contiguous().clone() for name, tensor in tensors.items()} | about | {"losses": fit.losses.cpu()}
    write_bytes_atomically(run / FIT_FILE, save(content))


def load_fit(run: Path, index: int, batches: int, trainer: MetaTrainer) -> UnfinishedFit | None:
    """Put a trainer where an interrupted fit has left it.

    Args:
        run: the folder of the run.
        index: the round that is to be fitted.
        batches: number of batches of episodes that the round sees.
        trainer: gets the weights and all other state, if there is any.

    Returns:
        The fit; None if that round has not been interrupted in its fit, or has not been saved since it began.

    Raises:
        CheckpointError: the file is damaged, or the fit is about another number of batches.
    """
    path = run / FIT_FILE
    if not path.is_file():
        return None
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged: {error}; delete it, and the round begins anew") from error
    fit = UnfinishedFit(int(tensors["round"]), int(tensors["batches"]), float(tensors["seconds"]), tensors["losses"])
    if fit.round != index:
        return None
    if fit.batches != batches:
        raise CheckpointError(
            f"{path}: this fit is about {fit.batches} batches of episodes, but now there are {batches}; "
            "restore the folder of the episodes, or delete this file, and the round begins anew"
        )
    load_weights(trainer.adapter, _below("adapter.", tensors), path)
    restore_trainer(trainer, _below("trainer.", tensors), path)
    return fit


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
