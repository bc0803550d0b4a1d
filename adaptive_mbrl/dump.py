"""One file that holds all that is needed to run one step again: what was put in, the weights, and where it came from.

A dump is a safetensors file whose metadata is JSON. Three kinds of steps write one when something in them is not finite: a
control step, a training step and a simulation step.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.revision import git_revision
from adaptive_mbrl.storage import write_bytes_atomically

DUMP_FOLDER = Path("runs/dumps")
"""Where commands write dumps, below the working directory; a training writes them into its run folder."""
_NAME, _VERSION = "adaptive-mbrl dump", 2
_FORMAT = f"{_NAME} {_VERSION}"


@dataclass(frozen=True)
class Dump:
    """The content of a dump.

    Attributes:
        kind: which step it was: control_step, training_step or simulation_step.
        reason: what was not finite, in words.
        about: plain values that describe the step.
        tensors: its inputs and weights by name.
    """

    kind: str
    reason: str
    about: dict[str, Any]
    tensors: dict[str, Tensor]

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose names begin with ``prefix.``, by the rest of their names."""
        start = f"{prefix}."
        return {name.removeprefix(start): tensor for name, tensor in self.tensors.items() if name.startswith(start)}

    def sequence(self, prefix: str) -> list[Tensor]:
        """The tensors that `numbered` gave the names ``prefix.0``, ``prefix.1``, ..."""
        part = self.part(prefix)
        return [part[str(i)] for i in range(len(part))]


def numbered(prefix: str, tensors: list[Tensor]) -> dict[str, Tensor]:
    """Names for a sequence of tensors."""
    return {f"{prefix}.{i}": tensor for i, tensor in enumerate(tensors)}


def write_dump(
    folder: Path, kind: str, reason: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor], revision: str | None = None
) -> Path:
    """Write a dump into a folder under a name that is not taken.

    Args:
        folder: where the file goes.
        kind: which step it is.
        reason: what was not finite, in words.
        about: plain values that describe the step.
        tensors: its inputs and weights by name.
        revision: git revision of the running code; it is asked for if left out.

    Returns:
        The file's path.
    """
    revision = revision or git_revision() or "unknown"
    content = {"format": _FORMAT, "kind": kind, "reason": reason, "revision": revision, "about": dict(about)}
    # clones: safetensors refuses tensors that share memory
    cloned = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    stem = f"{kind}_{time.strftime('%Y%m%d-%H%M%S')}"
    path = next(p for n in range(10**6) if not (p := folder / f"{stem}_{n}.safetensors").exists())
    write_bytes_atomically(path, save(cloned, metadata={"dump": json.dumps(content)}))
    return path


def read_dump(path: Path) -> Dump:
    """Read a dump.

    Raises:
        ConfigError: there is no such file, it is no dump, or it is one of another format.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dict
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file") from error
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"{path}: not a dump: {error}") from error
    try:
        content = json.loads(metadata.get("dump", "{}"))
        found = content.get("format")
        if found != _FORMAT and str(found).startswith(f"{_NAME} "):
            raise ConfigError(
                f"{path}: a dump of format '{found}', and this code replays '{_FORMAT}'; replay it with the code that wrote it, "
                f"of revision {content.get('revision', 'unknown')}"
            )
        if found != _FORMAT:
            raise ConfigError(f"{path}: not a dump of this program (its metadata does not say '{_FORMAT}')")
        return Dump(content["kind"], content["reason"], {**content["about"], "revision": content["revision"]}, tensors)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: not a dump of this program: its metadata is damaged: {error!r}") from error


def non_finite(values: Mapping[str, Tensor]) -> list[str]:
    """Which of the named tensors hold a value that is not finite, and how many, in words.

    The range of the data is left out: an angle has none, which is written as infinite limits.
    """
    checked = {name: v for name, v in values.items() if v.is_floating_point() and not name.endswith(("obs_low", "obs_high"))}
    counts = {name: int((~torch.isfinite(value)).sum()) for name, value in checked.items()}
    return [f"{re.sub(r'_', ' ', name)}: {count} of {values[name].numel()}" for name, count in counts.items() if count]
