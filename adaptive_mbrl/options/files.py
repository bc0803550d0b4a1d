"""Flags of the sub-commands about YAML files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options.common import OptionalPath

KindName = Literal[
    "robot", "scenario", "split", "train", "baseline", "suite", "bridge", "imperfections", "logs", "dataset", "sweep"
]
"""The names of `adaptive_mbrl.file_kinds.FILE_KINDS`, which a test compares; the parser offers them."""


@dataclass(frozen=True)
class SchemaOptions:
    """Print the JSON Schema of a kind of YAML file, by which editors complete and check what you type.

    In a file's first line, `# yaml-language-server: $schema=robot.schema.json` names the schema that lies beside it.

    Example: adaptive-mbrl schema robot --out robot.schema.json

    Attributes:
        kind: the kind of file; `all` writes one schema for each kind into the folder --out.
        out: file that the schema is written to; standard output if not given.
    """

    kind: Positional[KindName | Literal["all"]]
    out: OptionalPath = None

    def __post_init__(self) -> None:
        if self.kind == "all" and self.out is None:
            raise ConfigError("schema all: writes several files; give their folder with --out")
