"""A training step that diverges is written to a file, and can be run again from it exactly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from adaptive_mbrl.adaptation.belief import map_belief, tensors_of
from adaptive_mbrl.checkpoint import Description
from adaptive_mbrl.config import from_mapping, to_mapping
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dump import Dump, numbered, write_dump
from adaptive_mbrl.errors import DivergenceError
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from adaptive_mbrl.transitions import Transitions

KIND = "training_step"


def write_training_step(folder: Path, reason: str, description: Description, trainer: MetaTrainer, windows: Windows) -> Path:
    """Write the step that the trainer could not take.

    Args:
        folder: where the file goes.
        reason: what was not finite, in words.
        description: the checkpoint that was to come out of the training.
        trainer: its weights and its balancing are those before the step.
        windows: what the step was to be taken on.
    """
    tasks = sorted({task for task in windows.task.tolist() if task < len(trainer.known)})
    about = {
        "description": to_mapping(description),
        "outer": to_mapping(trainer.config),
        "updates": trainer.updates_done,
        "known": {str(task): trainer.known[task] for task in tasks},
    }
    tensors = {f"adapter.{name}": tensor for name, tensor in trainer.adapter.state_dict().items()}
    tensors |= {f"balancing.{name}": tensor for name, tensor in trainer.balancing.state_dict().items()}
    return write_dump(folder, KIND, reason, about, tensors | numbered("windows", tensors_of(windows)))


def written(error: DivergenceError, folder: Path, description: Description, trainer: MetaTrainer) -> DivergenceError:
    """Write the step behind an error; the same error, with the command that replays it."""
    path = write_training_step(folder, str(error), description, trainer, error.windows)
    return DivergenceError(f"{error}; replay that step: adaptive-mbrl replay {path}", error.windows)


@dataclass(frozen=True)
class Replayed:
    """What came of a training step that was taken again.

    Attributes:
        loss: mean over the windows.
        windows: number of windows.
        failed_windows: number of windows whose loss is not finite.
        gradient_norm: norm of the outer gradient as the balancing makes it, not clipped; a step is taken where it is finite.
        failed_gradients: names of the parameters whose gradient is not finite.
    """

    loss: float
    windows: int
    failed_windows: int
    gradient_norm: float
    failed_gradients: tuple[str, ...]


def replay_training_step(dump: Dump) -> Replayed:
    """Take the loss of the dump's step and its gradient again, on the CPU; no weight is changed."""
    description = from_mapping(Description, dump.about["description"], source="dump")
    adapter = description.make_adapter()
    adapter.load_state_dict(dump.part("adapter"))
    trainer = MetaTrainer(adapter, from_mapping(OuterConfig, dump.about["outer"], source="dump"))
    trainer.balancing.load_state_dict(dump.part("balancing"))
    stored = iter(dump.sequence("windows"))
    empty = dump.tensors["windows.0"]
    windows: Windows = map_belief(lambda tensor: next(stored), Windows(Transitions(*[empty] * 4), *[empty] * 3))
    # older dumps do not say it
    known = dump.about.get("known", {})
    adapter.know_situations([known.get(str(task)) for task in range(int(windows.task.max()) + 1)], refit=False)
    loss = trainer.loss(windows)
    trainer.balancing.backward(loss, windows.task)
    gradients = {name: p.grad for name, p in adapter.named_parameters() if p.grad is not None}
    failed = tuple(name for name, gradient in gradients.items() if not bool(gradient.isfinite().all()))
    norm = float(torch.nn.utils.get_total_norm(gradients.values()))
    return Replayed(float(loss.detach().mean()), len(loss), int((~loss.isfinite()).sum()), norm, failed)
