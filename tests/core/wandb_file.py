"""Reads what Weights & Biases leaves in a folder when it is offline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK = 32768
FILE_HEADER, RECORD_HEADER = 7, 7
FULL, LAST = 1, 4


def records(path: Path) -> Iterator[Any]:
    """The records of a file `run-ID.wandb`: a log of LevelDB, whose records may be in several parts."""
    # loading it takes a second, in each process that finds tests
    import wandb
    from wandb.proto import wandb_internal_pb2 as proto

    # a finished run is written by a service in the background, which ends when all is on the disk
    wandb.teardown()
    content = path.read_bytes()
    assert content.startswith(b":W&B")
    at, parts = FILE_HEADER, b""
    while at + RECORD_HEADER <= len(content):
        if BLOCK - at % BLOCK < RECORD_HEADER:
            at += BLOCK - at % BLOCK
            continue
        length, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        parts += content[at + RECORD_HEADER : at + RECORD_HEADER + length]
        at += RECORD_HEADER + length
        if kind in (FULL, LAST):
            record = proto.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def history(path: Path) -> list[dict[str, float]]:
    """What was logged, call by call, without what Weights & Biases adds itself."""
    rows = []
    for record in records(path):
        if record.WhichOneof("record_type") == "history":
            items = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            rows.append({key: value for key, value in items.items() if not key.startswith("_")})
    return rows


def run_record(path: Path) -> Any:
    """The record that describes the run."""
    return next(record.run for record in records(path) if record.WhichOneof("record_type") == "run")
