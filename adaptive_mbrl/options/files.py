"""Flags of the sub-commands about YAML files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options.common import OptionalPath

KindName = Literal[
    "robot",
    "environment",
    "scenario",
    "split",
    "train",
    "baseline",
    "suite",
    "bridge",
    "imperfections",
    "logs",
    "dataset",
    "sweep",
]
KindNameOrAll = Literal[KindName, "all"]
"""The names of `adaptive_mbrl.file_kinds.FILE_KINDS`, which a test compares."""

Places = Annotated[tuple[Path, ...], arg(metavar="FILE [FILE ...]", help_behavior_hint="")]
OptionalKind = Annotated[KindName | None, arg(help_behavior_hint="")]


@dataclass(frozen=True)
class ValidateOptions:
    """Check YAML files: load each one as the commands do, with all that it refers to, and say what is wrong.

    There is one line for each file, and all of them are checked. The exit code is 2 if any is wrong.

    Example: adaptive-mbrl validate examples/walker/train.yaml configs/robots

    Attributes:
        files: YAML files, and folders in which every YAML file is checked that is one of ours.
        kind: the kind of all the files; if not given, a file's keys and its folder tell it.
    """

    files: Positional[Places]
    kind: OptionalKind = None

    def __post_init__(self) -> None:
        if not self.files:
            raise ConfigError("validate: no file given; allowed: YAML files, and folders that hold some")


@dataclass(frozen=True)
class SchemaOptions:
    """Print the JSON Schema of a kind of YAML file, by which editors complete and check what you type.

    In a file's first line, `# yaml-language-server: $schema=robot.schema.json` names the schema that lies beside it.

    Example: adaptive-mbrl schema robot --out robot.schema.json

    Attributes:
        kind: the kind of file; `all` writes one schema for each kind into the folder --out.
        out: file that the schema is written to; standard output if not given.
    """

    kind: Positional[KindNameOrAll]
    out: OptionalPath = None

    def __post_init__(self) -> None:
        if self.kind == "all" and self.out is None:
            raise ConfigError("schema all: writes several files; give their folder with --out")
