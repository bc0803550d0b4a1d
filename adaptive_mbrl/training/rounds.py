"""What a round leaves on disk besides its checkpoint: its figures and the state of the trainer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from adaptive_mbrl.checkpoint import WEIGHTS_FILE, load_weights
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.meta.trainer import MetaTrainer
from adaptive_mbrl.storage import write_bytes_atomically

TRAINER_FILE = "trainer.safetensors"
"""The trainer's state in the folder of a round, beside the files of the checkpoint."""


@dataclass(frozen=True)
class RoundRecord:
    """Figures after a round; counts are totals since the run began.

    Attributes:
        batches: number of batches in the episode store.
        env_steps: number of control steps of the collected episodes.
        branch_steps: number of control steps that were simulated in branches off them.
        oracle_steps: number of control steps that the oracle simulated to choose its actions.
        updates: number of outer steps.
        seconds: computing time [s].
        scalars: figures of this round alone, by name.
    """

    batches: int
    env_steps: int
    branch_steps: int
    oracle_steps: int
    updates: int
    seconds: float
    scalars: dict[str, float] = field(default_factory=dict)


def round_folder(run: Path, index: int) -> Path:
    """The folder of round `index` of a run; it is a checkpoint."""
    return run / "rounds" / f"{index:03d}"


def trainer_state(trainer: MetaTrainer) -> dict[str, Tensor]:
    """The optimiser, the balancing, the random generator and the counters, as tensors on the CPU."""
    tensors = {"generator": trainer.generator.get_state(), "updates": torch.tensor(trainer.updates_done)}
    tensors |= {f"balancing.{name}": value.cpu().clone() for name, value in trainer.balancing.state_dict().items()}
    for index, state in trainer.optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value).detach().cpu().clone()
    return tensors


def save_trainer_state(trainer: MetaTrainer, folder: Path) -> None:
    """Write all state of a trainer but the model's weights, which the checkpoint in the same folder has."""
    write_bytes_atomically(folder / TRAINER_FILE, save(trainer_state(trainer)))


def load_trainer_state(trainer: MetaTrainer, folder: Path) -> None:
    """Read what `save_trainer_state` wrote, and the model's weights from the checkpoint in the same folder."""
    path = folder / TRAINER_FILE
    try:
        tensors = load_file(path)
        weights = load_file(folder / WEIGHTS_FILE)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{folder}: damaged training state: {error}") from error
    load_weights(trainer.adapter, weights, folder / WEIGHTS_FILE)
    restore_trainer(trainer, tensors, path)


def restore_trainer(trainer: MetaTrainer, tensors: dict[str, Tensor], path: Path) -> None:
    """Put a trainer into the state that `trainer_state` gave.

    Args:
        trainer: the trainer; the model's weights stay.
        tensors: the state; is used up.
        path: the file that it comes from, for messages.
    """
    trainer.generator.set_state(tensors.pop("generator"))
    trainer.updates_done = int(tensors.pop("updates"))
    of_balancing = {key: tensors.pop(key) for key in [*tensors] if key.startswith("balancing.")}
    load_weights(trainer.balancing, {key.removeprefix("balancing."): value for key, value in of_balancing.items()}, path)
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        _, index, name = key.split(".")
        state.setdefault(int(index), {})[name] = value
    content = trainer.optimizer.state_dict()
    trainer.optimizer.load_state_dict({**content, "state": state})
