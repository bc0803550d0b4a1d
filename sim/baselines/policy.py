"""A trained baseline as a policy that runs wherever ours do, and its folder: weights as safetensors, the rest as YAML.

Stable-Baselines3's own files hold pickles, which can run code when they are opened; so they are neither written nor read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from adaptive_mbrl.checkpoint import load_weights, read_tensors, require_same_spec
from adaptive_mbrl.config import load_yaml, save_yaml
from adaptive_mbrl.errors import CheckpointError
from adaptive_mbrl.objective import Term
from adaptive_mbrl.spec import RobotSpec
from adaptive_mbrl.storage import atomic_folder, write_bytes_atomically
from sim.baselines.config import Algorithm
from sim.baselines.features import Array, Features
from sim.baselines.library import require_library
from sim.robot.robot import Robot
from sim.simulation.base import Simulation

if TYPE_CHECKING:
    from stable_baselines3.common.policies import BasePolicy

FORMAT_VERSION = 1
DESCRIPTION_FILE = "baseline.yaml"
WEIGHTS_FILE = "weights.safetensors"
# as Stable-Baselines3's VecNormalize has them
_CLIP, _EPSILON = 10.0, 1e-8


@dataclass(frozen=True)
class BaselineDescription:
    """Everything about a trained baseline but its weights.

    Attributes:
        format_version: number of the file layout.
        spec: the robot.
        terms: reward terms of the objective that it was trained for.
        goal_names: entries of the objective's goal.
        algorithm: the algorithm and its settings.
        provenance: how it was made; for people and reports only.
    """

    format_version: int
    spec: RobotSpec
    terms: tuple[Term, ...]
    goal_names: tuple[str, ...]
    algorithm: Algorithm
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def features(self) -> Features:
        """What the policy sees."""
        return Features(self.spec, len(self.goal_names), self.algorithm.last_action)


class BaselinePolicy:
    """A trained baseline; it acts without exploration. It implements `sim.episodes.policies.Policy`.

    Args:
        description: what was trained.
        policy: Stable-Baselines3's policy.
        mean: means of the features, (features,).
        var: variances of the features, (features,).
    """

    preview = 0

    def __init__(self, description: BaselineDescription, policy: BasePolicy, mean: Tensor, var: Tensor) -> None:
        self.description, self.policy, self.mean, self.var = description, policy, mean, var
        self._features = description.features
        self._memory: tuple[NDArray[Any], ...] | None = None

    def reset(self, simulation: Simulation) -> None:
        """New episodes begin on every robot: what the policy remembers is forgotten."""
        self._memory = None

    def act(self, obs: Array, goal: Array, sent: Array | None) -> tuple[Array, None]:
        """Choose the actions of one control step; arguments as of `sim.episodes.policies.Policy`."""
        last = (
            np.zeros((len(obs), self.description.spec.action_dim), np.float32) if sent is None else self._features.to_unit(sent)
        )
        features = self._features(obs, goal[:, 0], last)
        scaled = (features - self.mean.numpy()) / np.sqrt(self.var.numpy() + _EPSILON)
        clipped = np.clip(scaled, -_CLIP, _CLIP).astype(np.float32)
        begins = np.full(len(obs), sent is None)
        action, self._memory = self.policy.predict(clipped, self._memory, begins, deterministic=True)
        return self._features.from_unit(action), None


def save_baseline(folder: Path, baseline: BaselinePolicy) -> None:
    """Write a baseline's folder; it must not exist yet."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in baseline.policy.state_dict().items()}
    # networks that share layers list them several times, and a file holds each tensor once
    content = {f"policy.{name}": tensor.clone() for name, tensor in weights.items()}
    content |= {"features.mean": baseline.mean, "features.var": baseline.var}
    with atomic_folder(folder) as temporary:
        write_bytes_atomically(temporary / WEIGHTS_FILE, save(content))
        save_yaml(temporary / DESCRIPTION_FILE, baseline.description)


def load_baseline(folder: str | Path, robot: Robot | None = None) -> BaselinePolicy:
    """Load what `train-baseline` has written, as a policy for any number of robots.

    Args:
        folder: the folder `policy` of a run, or a copy of it; the run's folder will do, too.
        robot: the robot at hand; a baseline of another robot or for another objective is refused.

    Raises:
        CheckpointError: the folder is missing, damaged, or of another robot or objective.
        ConfigError: Stable-Baselines3 is not installed.
    """
    require_library()
    place = Path(folder)
    if not (place / DESCRIPTION_FILE).is_file() and (place / "policy" / DESCRIPTION_FILE).is_file():
        place = place / "policy"
    if not (place / DESCRIPTION_FILE).is_file():
        raise CheckpointError(f"{folder}: not a trained baseline (it has no {DESCRIPTION_FILE})")
    about = load_yaml(place / DESCRIPTION_FILE, BaselineDescription)
    if about.format_version != FORMAT_VERSION:
        raise CheckpointError(
            f"{place / DESCRIPTION_FILE}: key 'format_version': got {about.format_version}; allowed: {FORMAT_VERSION}"
        )
    if robot is not None:
        require_same_spec(about.spec, robot.spec, str(folder))
        if (about.terms, about.goal_names) != (robot.objective.terms, robot.objective.goal_names):
            raise CheckpointError(f"{folder}: trained for another objective than that of robot '{robot.name}'")
    weights = read_tensors(place / WEIGHTS_FILE)
    try:
        mean, var = weights.pop("features.mean"), weights.pop("features.var")
    except KeyError as error:
        raise CheckpointError(f"{place / WEIGHTS_FILE}: tensor {error} is missing") from error
    for name, tensor in (("features.mean", mean), ("features.var", var)):
        if tensor.shape != (about.features.dim,):
            raise CheckpointError(
                f"{place / WEIGHTS_FILE}: tensor '{name}' has shape {tuple(tensor.shape)}; needed: {(about.features.dim,)}"
            )
    policy = new_policy(about)
    load_weights(policy, {name.removeprefix("policy."): tensor for name, tensor in weights.items()}, place / WEIGHTS_FILE)
    policy.set_training_mode(False)
    return BaselinePolicy(about, policy, mean, var)


def load_baselines(folders: Sequence[str | Path], robot: Robot) -> dict[str, BaselinePolicy]:
    """Load several baselines, by the name of their algorithm; further ones of the same algorithm get a number: ``ppo_2``."""
    loaded: dict[str, BaselinePolicy] = {}
    for folder in folders:
        baseline = load_baseline(folder, robot)
        tag = baseline.description.algorithm.TAG
        count = sum(name == tag or name.startswith(f"{tag}_") for name in loaded)
        loaded[f"{tag}_{count + 1}" if count else tag] = baseline
    return loaded


def new_policy(description: BaselineDescription) -> BasePolicy:
    """An untrained policy of this kind; the random generators of the process are left as they are."""
    from gymnasium.spaces import Box

    observation = Box(-np.inf, np.inf, (description.features.dim,), np.float32)
    action = Box(-1.0, 1.0, (description.spec.action_dim,), np.float32)
    with torch.random.fork_rng(devices=[]):
        return description.algorithm.policy(observation, action)
