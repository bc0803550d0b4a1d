"""The words of a command line, from its options: for processes that are started, and for the hint how to go on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from adaptive_mbrl.options import TrainOptions


def words_of(options: TrainOptions) -> list[str]:
    """The words behind `adaptive-mbrl` that start or resume this training; `--resume` is not among them."""
    return ["train", *flags_of(dataclasses.replace(options, run=options.run_folder, resume=False))]


def flags_of(options: Any) -> Iterator[str]:
    """Each flag whose value is not its default, in the order of the help."""
    for field in dataclasses.fields(options):
        value, flag = getattr(options, field.name), field.name.replace("_", "-")
        if value == field.default:
            continue
        if isinstance(value, bool):
            yield f"--{flag}" if value else f"--no-{flag}"
        else:
            yield from (f"--{flag}", *(map(str, value) if isinstance(value, tuple) else [str(value)]))
