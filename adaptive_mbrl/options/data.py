"""Flags of the sub-commands of `adaptive-mbrl data`, which look at stores of episodes and change them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options.common import OptionalFile, OptionalName, require_ending, require_seed

Folders = Annotated[tuple[Path, ...], arg(metavar="DIR [DIR ...]", help_behavior_hint="")]
Files = Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]", help_behavior_hint="")]
OptionalFraction = Annotated[float | None, arg(metavar="SHARE", help_behavior_hint="")]


@dataclass(frozen=True)
class DataImportOptions:
    """Turn a robot's logs (CSV, TSV, Parquet, NPZ, HDF5, MCAP, rosbag2) into episodes for training.

    Parquet, HDF5, MCAP and rosbag2 need the extra packages of 'adaptive-mbrl[logs]'. A file that cannot be read is skipped; the
    others are imported, and the exit code is 2.



    Example: adaptive-mbrl data import drives/*.csv --config examples/logs/logs.yaml --out runs/logs

    Attributes:
        files: log files, rosbag2 folders, and folders that hold some.
        config: YAML file that says what the columns mean.
        out: folder of the episodes; new ones are appended, and a file that was imported before is left out.
    """

    files: Positional[Files]
    config: Path
    out: Path

    def __post_init__(self) -> None:
        if not self.files:
            raise ConfigError("no log file is given; allowed: log files, and folders that hold some")


@dataclass(frozen=True)
class DataCheckOptions:
    """Read all files of stores of episodes, and name those that are damaged or hold impossible numbers.

    Example: adaptive-mbrl data check runs/logs

    Attributes:
        folders: folders of episodes, as `data import`, `import-bag`, `collect` and trainings write them.
    """

    folders: Positional[Folders]

    def __post_init__(self) -> None:
        _require_folders(self.folders)


@dataclass(frozen=True)
class DataStatsOptions:
    """Show what is in a store of episodes: each channel's range, how much there is of what, and what looks wrong.

    Example: adaptive-mbrl data stats runs/logs --by wind --plot channels.png

    Attributes:
        folder: folder of the episodes.
        by: name of a tag whose values are counted; without it, each tag that has few values.
        plot: picture of each channel's histogram to write, a .png file.
    """

    folder: Positional[Path]
    by: OptionalName = None
    plot: OptionalFile = None

    def __post_init__(self) -> None:
        require_ending("--plot", self.plot, ".png")


@dataclass(frozen=True)
class DataMergeOptions:
    """Copy the episodes of several stores into one; what is there already is left out, so the command can be run again.

    Example: adaptive-mbrl data merge monday tuesday --out week

    Attributes:
        folders: folders of episodes of the same robot.
        out: folder of all of them; it may hold episodes already.
    """

    folders: Positional[Folders]
    out: Path

    def __post_init__(self) -> None:
        _require_folders(self.folders)


@dataclass(frozen=True)
class DataPushOptions:
    """Add the episodes of a store, such as a robot's, to a training that goes on; its next rounds are fitted to them, too.

    The training has to be one that was started with --collectors. What it was given before is left out, so the command can be run
    again with a store that has grown.

    Example: adaptive-mbrl data push runs/monday runs/train/cartpole

    Attributes:
        folder: folder of the episodes, as `import-bag`, `data import` and `collect` write them.
        run: folder of the training.
    """

    folder: Positional[Path]
    run: Positional[Path]


@dataclass(frozen=True)
class DataSplitOptions:
    """Copy a store with some of its episodes marked as held out: trainings compare on these instead of training on them.

    Either --held-out or --share is needed. The example holds out all episodes whose tag `wind` is 12. With --share 0.1 instead
    of --held-out it would be one in ten of the tag's values, chosen at random; with --share 0.1 alone one in ten of the episodes.

    Example: adaptive-mbrl data split runs/logs --by wind --held-out 12 --out runs/logs_split

    Attributes:
        folder: folder of the episodes.
        out: new folder of all episodes, the held-out ones marked.
        by: name of the tag by whose values episodes are held out.
        held_out: values of the tag `by` that are held out.
        share: share of the tag's values, or without `by` of the episodes, that is chosen at random, above 0 and below 1.
        seed: seed of the random choice.
    """

    folder: Positional[Path]
    out: Path
    by: OptionalName = None
    held_out: Annotated[tuple[str, ...], arg(metavar="VALUE [VALUE ...]", help_behavior_hint="")] = ()
    share: OptionalFraction = None
    seed: int = 0

    def __post_init__(self) -> None:
        require_seed("--seed", self.seed)
        if bool(self.held_out) == (self.share is not None):
            raise ConfigError(
                "data split: what is held out? allowed: either --by TAG --held-out VALUE, or --share SHARE, such as 0.1"
            )
        if self.held_out and self.by is None:
            raise ConfigError("--held-out: names values of a tag; give the tag with --by")
        if self.share is not None and not 0 < self.share < 1:
            raise ConfigError(f"--share: {self.share} is out of range; allowed: above 0 and below 1")


@dataclass(frozen=True)
class DataExportMinariOptions:
    """Write a store of episodes as a dataset of Minari, the dataset library of the Gymnasium family.

    Needs the extra packages of 'adaptive-mbrl[minari]'.

    Example: adaptive-mbrl data export-minari runs/logs rover/drives-v0

    Attributes:
        folder: folder of the episodes.
        name: name of the new dataset, with a version.
    """

    folder: Positional[Path]
    name: Positional[str]


@dataclass(frozen=True)
class DataImportMinariOptions:
    """Append the episodes of a dataset of Minari to a store.

    Needs the extra packages of 'adaptive-mbrl[minari]'.

    Example: adaptive-mbrl data import-minari rover/drives-v0 --out runs/logs

    Attributes:
        name: name of a dataset that Minari has on this machine ('minari download' gets one).
        out: folder of the episodes; new ones are appended.
        spec: YAML file that says what the columns mean, with name, dt, obs and action as in a store's spec.yaml; a dataset that
            `data export-minari` wrote knows it.
    """

    name: Positional[str]
    out: Path
    spec: OptionalFile = None


@dataclass(frozen=True)
class DataExportLeRobotOptions:
    """Write a store of episodes as a dataset of LeRobot, the robot learning library of Hugging Face, in its format v3.0.

    Needs the extra packages of 'adaptive-mbrl[lerobot]'.

    Example: adaptive-mbrl data export-lerobot runs/logs --out rover_drives

    Attributes:
        folder: folder of the episodes.
        out: new folder of the dataset.
    """

    folder: Positional[Path]
    out: Path


@dataclass(frozen=True)
class DataImportLeRobotOptions:
    """Append the episodes of a dataset of LeRobot, format v3.0, to a store; images and videos are left out.

    Needs the extra packages of 'adaptive-mbrl[lerobot]'.

    Example: adaptive-mbrl data import-lerobot rover_drives --out runs/logs

    Attributes:
        folder: folder of the dataset, which holds meta/info.json.
        out: folder of the episodes; new ones are appended.
        spec: YAML file that says which channels there are, with name, obs and action as in a store's spec.yaml; a dataset that
            `data export-lerobot` wrote knows it.
    """

    folder: Positional[Path]
    out: Path
    spec: OptionalFile = None


def _require_folders(folders: tuple[Path, ...]) -> None:
    if not folders:
        raise ConfigError("no folder given; allowed: one or more folders of episodes")
