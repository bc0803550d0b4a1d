"""The sub-command `schema`: JSON Schemas for editors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from adaptive_mbrl.file_kinds import FILE_KINDS, FileKind
from adaptive_mbrl.options import SchemaOptions
from adaptive_mbrl.storage import write_text_atomically


def schema(options: SchemaOptions) -> None:
    """Print the schema of one kind of file, or write it; `all` writes those of all kinds."""
    if options.kind == "all":
        assert options.out is not None, "the options make sure of it"
        for kind in FILE_KINDS:
            _write(options.out / f"{kind.name}.json", kind)
        return
    (kind,) = (kind for kind in FILE_KINDS if kind.name == options.kind)
    if options.out is None:
        sys.stdout.write(schema_text(kind))
        return
    _write(options.out, kind)


def schema_text(kind: FileKind) -> str:
    """The JSON Schema of a kind of file, as it is written."""
    return json.dumps(kind.json_schema(), indent=2, ensure_ascii=False) + "\n"


def _write(path: Path, kind: FileKind) -> None:
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, schema_text(kind))
    print(f"Written: {path}")
