"""What a round of a baseline's training leaves on disk: everything the next one needs, as tensors and YAML, without a pickle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from adaptive_mbrl.checkpoint import read_tensors
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.storage import write_bytes_atomically

STATE_FILE = "state.safetensors"
_BUFFER = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
_MOMENTS = ("mean", "var", "count")


@dataclass(frozen=True)
class BaselineRecord:
    """Figures after a round; counts are totals since the run began.

    Attributes:
        env_steps: number of control steps of all robots together.
        updates: number of updates, as Stable-Baselines3 counts them.
        seconds: computing time [s].
        mean_return: mean return of the last 100 episodes of the round; None if no episode ended in it.
    """

    env_steps: int
    updates: int
    seconds: float
    mean_return: float | None = None


def save_learner(learner: BaseAlgorithm, folder: Path) -> None:
    """Write networks, optimisers, running means and, if there is one, the replay buffer."""
    tensors = _parameters(learner) | _moments(learner)
    if isinstance(learner, OffPolicyAlgorithm):
        tensors |= _buffer(learner)
    write_bytes_atomically(folder / STATE_FILE, save({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}))


def load_learner(learner: BaseAlgorithm, folder: Path, record: BaselineRecord) -> None:
    """Bring a new learner into the state that `save_learner` wrote.

    Raises:
        CheckpointError: the file is missing, damaged or of another learner.
    """
    tensors = read_tensors(folder / STATE_FILE)
    try:
        _load_parameters(learner, tensors)
        _load_moments(learner, tensors)
        if isinstance(learner, OffPolicyAlgorithm):
            _load_buffer(learner, tensors)
    except (KeyError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{folder / STATE_FILE}: not the state of this training: {error}") from error
    learner.num_timesteps, learner._n_updates = record.env_steps, record.updates


def normalizer(learner: BaseAlgorithm) -> VecNormalize:
    """The running means of a learner's inputs and rewards."""
    found = learner.get_vec_normalize_env()
    assert found is not None, "every baseline trains with running means"
    return found


def _parameters(learner: BaseAlgorithm) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, content in learner.get_parameters().items():
        if "param_groups" not in content:
            tensors |= {f"{name}/{key}": value for key, value in content.items()}
            continue
        for index, state in content["state"].items():
            tensors |= {f"{name}/{index}/{key}": torch.as_tensor(value) for key, value in state.items()}
    # SAC's temperature is neither a network nor an optimiser
    return tensors | {name: getattr(learner, name) for name in _loose(learner)}


def _load_parameters(learner: BaseAlgorithm, tensors: dict[str, Tensor]) -> None:
    parameters: dict[str, Any] = {}
    for name, content in learner.get_parameters().items():
        own = {key.removeprefix(f"{name}/"): value for key, value in tensors.items() if key.startswith(f"{name}/")}
        if "param_groups" not in content:
            parameters[name] = own
            continue
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in own.items():
            index, _, entry = key.partition("/")
            state.setdefault(int(index), {})[entry] = value
        parameters[name] = {**content, "state": state}
    learner.set_parameters(parameters, device=learner.device)
    for name in _loose(learner):
        getattr(learner, name).data.copy_(tensors[name])


def _loose(learner: BaseAlgorithm) -> list[str]:
    return [name for name in learner._get_torch_save_params()[1] if isinstance(getattr(learner, name, None), Tensor)]


def _moments(learner: BaseAlgorithm) -> dict[str, Tensor]:
    env = normalizer(learner)
    pairs = (("obs_rms", env.obs_rms), ("ret_rms", env.ret_rms))
    return {f"{name}.{key}": torch.as_tensor(getattr(rms, key), dtype=torch.float64) for name, rms in pairs for key in _MOMENTS}


def _load_moments(learner: BaseAlgorithm, tensors: dict[str, Tensor]) -> None:
    env = normalizer(learner)
    for name, rms in (("obs_rms", env.obs_rms), ("ret_rms", env.ret_rms)):
        rms.mean, rms.var = (tensors[f"{name}.{key}"].numpy() for key in ("mean", "var"))
        rms.count = float(tensors[f"{name}.count"])


def _buffer(learner: OffPolicyAlgorithm) -> dict[str, Tensor]:
    buffer = learner.replay_buffer
    assert buffer is not None
    rows = buffer.size()
    position = {"buffer.pos": torch.tensor(buffer.pos), "buffer.full": torch.tensor(int(buffer.full))}
    return position | {f"buffer.{name}": torch.from_numpy(getattr(buffer, name)[:rows]) for name in _BUFFER}


def _load_buffer(learner: OffPolicyAlgorithm, tensors: dict[str, Tensor]) -> None:
    buffer = learner.replay_buffer
    assert buffer is not None
    for name in _BUFFER:
        rows: np.ndarray = tensors[f"buffer.{name}"].numpy()
        getattr(buffer, name)[: len(rows)] = rows
    buffer.pos, buffer.full = int(tensors["buffer.pos"]), bool(tensors["buffer.full"])
