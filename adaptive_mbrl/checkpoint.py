"""Checkpoints: one folder with `checkpoint.yaml` (spec, settings, where it came from) and `weights.safetensors`. No pickle.

Beside them lies `canary.safetensors`, by which loaded weights can be checked; older checkpoints have none. A terminal value, a
diagnosis, a learned reward and a learned termination, where there are any, have files of their own.

The folder is written under a temporary name and renamed, and is never changed afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from adaptive_mbrl.adaptation import Rules, make_adapter
from adaptive_mbrl.adaptation.network_adapter import NetworkAdapter
from adaptive_mbrl.canary import CANARY_FILE, Canary, read_canary, write_canary
from adaptive_mbrl.checkpoint_v1 import upgraded_description, upgraded_weights
from adaptive_mbrl.config import bounded, did_you_mean, from_mapping, read_mapping, save_yaml
from adaptive_mbrl.diagnosis import Diagnosis, DiagnosisConfig, size_of
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.objective import Objective, RewardFunction, Term
from adaptive_mbrl.planning import PlannerConfig
from adaptive_mbrl.planning.learned_reward import LearnedReward, LearnedRewardConfig
from adaptive_mbrl.planning.learned_termination import LearnedTermination, LearnedTerminationConfig
from adaptive_mbrl.planning.score import Termination
from adaptive_mbrl.planning.value import ValueConfig, ValueFunction
from adaptive_mbrl.spec import RobotSpec, spec_differences
from adaptive_mbrl.storage import atomic_folder, write_bytes_atomically

ModuleT = TypeVar("ModuleT", bound=torch.nn.Module)

FORMAT_VERSION = 2
WEIGHTS_FILE = "weights.safetensors"
VALUE_FILE = "value.safetensors"
DIAGNOSIS_FILE = "diagnosis.safetensors"
REWARD_FILE = "reward.safetensors"
TERMINATION_FILE = "termination.safetensors"
DESCRIPTION_FILE = "checkpoint.yaml"
RUN_CHECKPOINT = "checkpoint"
"""The folder of the checkpoint in that of its training."""
NETWORK_FILES: Mapping[str, str] = {
    "adapter": WEIGHTS_FILE,
    "value": VALUE_FILE,
    "diagnosis": DIAGNOSIS_FILE,
    "learned_reward": REWARD_FILE,
    "learned_termination": TERMINATION_FILE,
}
"""The file of each network of a `Checkpoint`, by its attribute."""
CHECKPOINT_FILES = (DESCRIPTION_FILE, CANARY_FILE, *NETWORK_FILES.values())
"""Every file that a checkpoint may have."""


@dataclass(frozen=True)
class Description:
    """Everything about a checkpoint but its weights.

    Attributes:
        format_version: number of the file layout.
        spec: the robot.
        terms: reward terms of the objective; empty where the reward is learned, and after a training from recorded episodes that
            was told none.
        goal_names: entries of the objective's goal.
        model: shape of the dynamics model.
        adaptation: the rules.
        planner: the planner and its settings.
        window: K, the number of recent transitions that adaptation sees.
        provenance: how it was made: env steps, seconds, git revision, ...; for people and reports only.
        shaping: whether its planner is to maximise the shaping terms of the robot's file too, where that file gives the
            objective (in simulation); checkpoints without this entry do.
        value: settings of the terminal value that is in the planner's score; None for none.
        diagnosis: names and settings of what is read out of the belief; None for nothing.
        learned_reward: settings of the reward that was learned; None where `terms` give it.
        learned_termination: settings of what tells planners where episodes end; None for nothing.
    """

    format_version: int
    spec: RobotSpec
    terms: tuple[Term, ...]
    goal_names: tuple[str, ...]
    model: ModelConfig
    adaptation: Rules
    planner: PlannerConfig
    window: int = bounded(low=1, high=1000)
    provenance: dict[str, Any] = field(default_factory=dict)
    shaping: bool = True
    value: ValueConfig | None = None
    diagnosis: DiagnosisConfig | None = None
    learned_reward: LearnedRewardConfig | None = None
    learned_termination: LearnedTerminationConfig | None = None

    @property
    def is_multitask(self) -> bool:
        """Whether it was trained without adaptation."""
        return [rule.TAG for rule in self.adaptation] == ["none"]

    @property
    def objective(self) -> Objective:
        """What planners maximise.

        Raises:
            ConfigError: the checkpoint has no reward terms.
        """
        if self.learned_reward is not None:
            raise ConfigError(
                f"the reward of this checkpoint of '{self.spec.name}' is learned, and what was asked for needs terms"
            )
        if not self.terms:
            raise ConfigError(
                f"this checkpoint of '{self.spec.name}' has no objective, since its training was told none; allowed: evaluate it "
                "in simulation, where the robot's file has one, or train again with the key 'objective'"
            )
        return Objective(self.spec, self.terms, self.goal_names)

    @property
    def goal_dim(self) -> int:
        """Number of entries of the goal of what planners maximise; a learned reward has none.

        Raises:
            ConfigError: the checkpoint has no reward.
        """
        return 0 if self.learned_reward is not None else self.objective.goal_dim

    def make_adapter(self, seed: int = 0) -> NetworkAdapter:
        """A new adapter of this kind; its weights are random."""
        return make_adapter(DynamicsModel(self.spec, self.model, seed), self.adaptation, self.window)


@dataclass(frozen=True)
class Checkpoint:
    """A description and the adapter that it describes.

    Attributes:
        description: everything but weights and predictions.
        adapter: network, normalizer and rules with their weights.
        canary: recorded windows and the adapter's predictions about them; None where nothing was recorded.
        value: the terminal value; None where the description has none.
        diagnosis: reads physical parameters out of beliefs; None where the description has none.
        learned_reward: the reward that was learned; None where the description has none.
        learned_termination: tells where predicted episodes end; None where the description has none.
    """

    description: Description
    adapter: NetworkAdapter
    canary: Canary | None = None
    value: ValueFunction | None = None
    diagnosis: Diagnosis | None = None
    learned_reward: LearnedReward | None = None
    learned_termination: LearnedTermination | None = None

    @property
    def reward(self) -> RewardFunction:
        """What its planner maximises: the learned reward, or the objective.

        Raises:
            ConfigError: it has neither.
        """
        return self.description.objective if self.learned_reward is None else self.learned_reward

    @property
    def termination(self) -> Termination | None:
        """What tells its planner where episodes end; None where nothing was learned about it."""
        learned = self.learned_termination
        return learned if learned is not None and learned.knows_ends else None


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a new checkpoint folder.

    Raises:
        CheckpointError: the folder exists already.
    """
    if folder.exists():
        raise CheckpointError(f"{folder}: exists already; a checkpoint is never overwritten")
    with atomic_folder(folder) as temporary:
        write_checkpoint_files(temporary, checkpoint)


def write_checkpoint_files(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint's files into a folder that the caller makes appear as a whole."""
    save_yaml(folder / DESCRIPTION_FILE, checkpoint.description)
    if checkpoint.canary is not None:
        write_canary(folder, checkpoint.canary)
    for name, file in NETWORK_FILES.items():
        network = getattr(checkpoint, name)
        if network is not None:
            _write_weights(folder / file, network)


def _write_weights(path: Path, module: torch.nn.Module) -> None:
    write_bytes_atomically(path, save({name: t.detach().cpu().contiguous() for name, t in module.state_dict().items()}))


def load_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Read a checkpoint folder, or a shipped checkpoint by name.

    Raises:
        CheckpointError: it is missing, damaged, of another format, or its weights do not fit its description.
    """
    folder = find_checkpoint(path)
    weights_file = folder / WEIGHTS_FILE
    description, version = _described(folder)
    weights = read_tensors(weights_file)
    if version == 1:
        weights = upgraded_weights(weights, description.spec)
    adapter = description.make_adapter()
    load_weights(adapter, weights, source=weights_file)
    value, diagnosis = _value(description, folder, device), _diagnosis(description, folder, adapter, device)
    reward, termination = read_learned(folder, description)
    return Checkpoint(
        description,
        adapter.to(device).eval(),
        read_canary(folder),
        value,
        diagnosis,
        None if reward is None else reward.to(device),
        None if termination is None else termination.to(device),
    )


def read_description(path: str | Path) -> Description:
    """Read what a checkpoint says about itself, without its weights.

    Args:
        path: folder of the checkpoint, or name of a shipped one.

    Raises:
        CheckpointError: it is missing, or of another format.
    """
    return _described(find_checkpoint(path))[0]


def _described(folder: Path) -> tuple[Description, Any]:
    """The description in a folder, in today's form, and the version of the format in which it is stored."""
    source = folder / DESCRIPTION_FILE
    content = read_mapping(source)
    version = content.get("format_version")
    if "format_version" in content and version not in (1, FORMAT_VERSION):
        raise CheckpointError(f"{source}: key 'format_version': got {version}; allowed: 1, {FORMAT_VERSION}")
    if version == 1:
        try:
            content = upgraded_description(content)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from error
    return from_mapping(Description, content, source=str(source)), version


def _value(description: Description, folder: Path, device: torch.device | str) -> ValueFunction | None:
    if description.value is None:
        return None
    return read_value(folder, ValueFunction(description.spec, description.value, description.goal_names)).to(device)


def _diagnosis(description: Description, folder: Path, adapter: NetworkAdapter, device: torch.device | str) -> Diagnosis | None:
    if description.diagnosis is None:
        return None
    return _fitted(Diagnosis(description.diagnosis, size_of(adapter.prior(1))), folder / DIAGNOSIS_FILE).to(device)


def read_value(folder: Path, value: ValueFunction) -> ValueFunction:
    """Load the weights of a value from the folder of a checkpoint.

    Raises:
        CheckpointError: the file is missing or damaged, or does not fit.
    """
    return _fitted(value, folder / VALUE_FILE)


def read_learned(folder: Path, description: Description) -> tuple[LearnedReward | None, LearnedTermination | None]:
    """Read the learned reward and the learned termination that a description asks for from the folder of its checkpoint.

    Raises:
        CheckpointError: a file is missing or damaged, or does not fit.
    """
    reward = termination = None
    if description.learned_reward is not None:
        reward = _fitted(LearnedReward(description.spec, description.learned_reward), folder / REWARD_FILE)
    if description.learned_termination is not None:
        termination = _fitted(LearnedTermination(description.spec, description.learned_termination), folder / TERMINATION_FILE)
    return reward, termination


def _fitted(module: ModuleT, path: Path) -> ModuleT:
    """A network with the weights of a file, which is used and no longer trained."""
    load_weights(module, read_tensors(path), source=path)
    return module.eval().requires_grad_(False)


def find_checkpoint(path: str | Path) -> Path:
    """The folder of a checkpoint given by folder, by the folder of its training, or by the name of a shipped one.

    A link is followed here, once: all files of a checkpoint are then of the same one, also if the link is replaced meanwhile.
    """
    folder = Path(path)
    if folder.is_symlink():
        folder = folder.resolve()
    if (folder / DESCRIPTION_FILE).is_file():
        return folder
    if (folder / RUN_CHECKPOINT / DESCRIPTION_FILE).is_file():
        # the folder of a training
        return folder / RUN_CHECKPOINT
    if folder.name == str(path) and (_shipped() / folder.name / DESCRIPTION_FILE).is_file():
        return _shipped() / folder.name
    known = shipped_checkpoints()
    names = ", ".join(known) or "none"
    if folder.is_dir():
        raise CheckpointError(f"{folder}: not a checkpoint (it has no {DESCRIPTION_FILE}); shipped checkpoints: {names}")
    if "://" in str(path):
        raise CheckpointError(f"{path}: is not on this machine; fetch it with 'adaptive-mbrl pull {path}', then name its folder")
    hint = did_you_mean(str(path), known)
    raise CheckpointError(f"{path}: no such checkpoint folder in {Path.cwd()}{hint}; shipped checkpoints: {names}")


def shipped_checkpoints() -> list[str]:
    """The names of the checkpoints that come with the package."""
    return sorted(p.parent.name for p in _shipped().glob(f"*/{DESCRIPTION_FILE}"))


def require_robot(checkpoint: Checkpoint, spec: RobotSpec, source: str) -> None:
    """Refuse a checkpoint whose channels, units, limits or control period differ from the robot's."""
    require_same_spec(checkpoint.description.spec, spec, source)


def require_same_spec(stored: RobotSpec, spec: RobotSpec, source: str) -> None:
    """Refuse what was trained on the robot `stored` where channels, units, limits or control period of `spec` differ."""
    difference = next(spec_differences(stored, spec), None)
    if difference is not None:
        raise CheckpointError(f"{source}: trained on another robot: {difference}")


def load_weights(module: torch.nn.Module, weights: Mapping[str, Tensor], source: Path) -> None:
    """Copy tensors into a module; every name and shape must fit."""
    expected = module.state_dict()
    for name, tensor in expected.items():
        if name not in weights:
            raise CheckpointError(f"{source}: tensor '{name}' is missing")
        if weights[name].shape != tensor.shape:
            raise CheckpointError(
                f"{source}: tensor '{name}' has shape {tuple(weights[name].shape)}; needed: {tuple(tensor.shape)}"
            )
        if weights[name].isnan().any():
            raise CheckpointError(f"{source}: tensor '{name}' holds NaN: its training diverged")
    unknown = sorted(set(weights) - set(expected))
    if unknown:
        raise CheckpointError(f"{source}: unknown tensor '{unknown[0]}'")
    module.load_state_dict(dict(weights))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: missing") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: damaged weights: {error}") from error


def _shipped() -> Path:
    """The folder of the shipped checkpoints."""
    return Path(str(resources.files("adaptive_mbrl") / "pretrained"))
