"""Where the configuration of a training is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from adaptive_mbrl.training.config import TrainConfig, read_train_config
from sim.paths import beside, find_config


def load_train_config(name_or_path: str | Path, settings: Sequence[str] = ()) -> TrainConfig:
    """Read a shipped config by name, or any by path; a split beside the file is named relative to it.

    `data.episodes_from` is relative to the working directory, like `--run`.

    Args:
        name_or_path: the config.
        settings: texts ``KEY=VALUE`` that replace values of the file.
    """
    path = find_config("train", name_or_path)
    config = read_train_config(path, settings)
    if config.scenarios is None:
        return config
    return replace(config, scenarios=beside(path, config.scenarios))
