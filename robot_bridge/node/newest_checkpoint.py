"""The checkpoint that a bridge file names, where another one may come in its place: which is in use, and may the next one be?"""

from __future__ import annotations

from pathlib import Path

import torch

from adaptive_mbrl.canary import check_canary
from adaptive_mbrl.checkpoint import DESCRIPTION_FILE, Checkpoint, find_checkpoint, load_checkpoint, require_robot
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.errors import CheckpointError, ConfigError
from robot_bridge.bridge_config import BridgeConfig
from robot_bridge.robot_files import load_controller, require_latency

Loaded = tuple[AdaptiveController, AdaptiveController | None]
"""A controller, and where it is on a GPU the same on the CPU, in case the GPU fails: its files may be gone by then."""


class NewestCheckpoint:
    """Loads the checkpoint that a bridge file names, and those that come in its place.

    Args:
        config: the bridge file's content.
        path: the bridge file.
        device: where the networks run.

    Attributes:
        folder: where the checkpoint lay that was found last.
    """

    def __init__(self, config: BridgeConfig, path: Path, device: str) -> None:
        self._config, self._path, self._device = config, path, device
        self.folder = Path(config.checkpoint)
        self._in_use: tuple[int, ...] = ()
        self._found: tuple[int, ...] = ()

    def first(self) -> Loaded:
        """The controller to begin with.

        Raises:
            ConfigError: there is no such checkpoint, it is damaged, predicts something else than when it was written, or does not
                fit the bridge file.
        """
        try:
            self._look()
            _require_sound(load_checkpoint(self.folder), self.folder)
        except CheckpointError as error:
            raise ConfigError(f"{self._path}: key 'checkpoint': {error}") from error
        self.is_in_use()
        return self._loaded()

    def successor(self, present: AdaptiveController) -> Loaded | None:
        """The controller of the checkpoint that is there now; None if it is the one in use.

        Args:
            present: the controller in use.

        Raises:
            AdaptiveMBRLError: it is damaged, predicts something else than when it was written, or does not fit the bridge file or
                the controller in use.
        """
        self._look()
        if self._found == self._in_use:
            return None
        checkpoint = load_checkpoint(self.folder)
        require_robot(checkpoint, present.spec, str(self.folder))
        _require_sound(checkpoint, self.folder)
        controller, spare = self._loaded()
        require_latency(self._config, controller, self._path)
        if controller.diagnosis_names != present.diagnosis_names:
            raise CheckpointError(
                f"{self.folder}: its diagnosis is about {list(controller.diagnosis_names)}; allowed without a new start: "
                f"{list(present.diagnosis_names)}"
            )
        return controller, spare

    def is_in_use(self) -> None:
        """Remember that what was found last is in use."""
        self._in_use = self._found

    def _look(self) -> None:
        """Find the folder, with links followed, and what tells its content from another one's of the same name."""
        self.folder = find_checkpoint(self._config.checkpoint)
        try:
            status = (self.folder / DESCRIPTION_FILE).stat()
        except FileNotFoundError as error:
            raise CheckpointError(f"{self.folder}: removed meanwhile; try again") from error
        self._found = status.st_dev, status.st_ino, status.st_mtime_ns

    def _loaded(self) -> Loaded:
        controller = load_controller(self._config, self._path, self._device, self.folder)
        if controller.device.type == "cpu":
            return controller, None
        return controller, load_controller(self._config, self._path, "cpu", self.folder)


def _require_sound(checkpoint: Checkpoint, folder: Path) -> None:
    """Refuse a checkpoint with weights that are not finite, or whose predictions are not those of its canary."""
    learned = (checkpoint.adapter, checkpoint.value, checkpoint.learned_reward, checkpoint.learned_termination)
    for module in (module for module in learned if isinstance(module, torch.nn.Module)):
        for name, tensor in module.named_parameters():
            if not torch.isfinite(tensor).all():
                raise CheckpointError(f"{folder}: tensor '{name}' is not finite")
    if checkpoint.canary is not None:
        check_canary(checkpoint.adapter, checkpoint.canary, str(folder))
