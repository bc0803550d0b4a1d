"""The sub-command `export`."""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from adaptive_mbrl.checkpoint import read_description
from adaptive_mbrl.control.compiled import why_not_compiled
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.export import model_program, step_program
from adaptive_mbrl.export.contract import ENTRY, contract
from adaptive_mbrl.extras import extra_package
from adaptive_mbrl.options.export import ExportOptions
from adaptive_mbrl.planning.override import override_planner
from adaptive_mbrl.storage import write_bytes_atomically

Write = Callable[[ExportedProgram, dict[str, Any], Path], None]
"""Writes a program with its contract into a new file."""


def export(options: ExportOptions) -> None:
    """Write the file, and say what is in it.

    Raises:
        ConfigError: the planner or the rule cannot be exported in this way, or a package or a compiler is missing.
        CheckpointError: there is no such checkpoint.
    """
    described = read_description(options.checkpoint)
    planner = described.planner if options.planner is None else override_planner(described.planner, options.planner, "--planner")
    controller = AdaptiveController.load(options.checkpoint, planner=planner)
    is_model = options.format == "onnx"
    if is_model:
        extra_package("onnxscript", "onnx")
    if options.format == "library" and (why_not := why_not_compiled(torch.device("cpu"))):
        raise ConfigError(f"--format: 'library' is not possible here: {why_not}; allowed: program, onnx")
    program = model_program if is_model else step_program
    inputs = program.example_inputs(controller, options.robots)
    make = model_program.export_model if is_model else step_program.export_step
    exported = make(controller, options.robots)
    values = {node.name: node.meta["val"] for node in exported.graph.nodes if "val" in node.meta}
    outputs = dict(zip(program.OUTPUTS, (values[name] for name in exported.graph_signature.user_outputs), strict=True))
    about = contract(controller, options.checkpoint, described, inputs, outputs)
    ending = ".onnx" if is_model else ".pt2"
    out = options.out or Path("runs/export") / f"{_name_of(options.checkpoint)}{ending}"
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        file = Path(folder) / f"written{ending}"
        _WRITERS[options.format](exported, about, file)
        write_bytes_atomically(out, file.read_bytes())
    print(f"Written: {out} ({out.stat().st_size / 1e6:.1f} MB)")
    for title, entries in (("in", about["inputs"]), ("out", about["outputs"])):
        for entry in entries:
            print(f"  {title:<4}{entry['name']:<17}{entry['type']:<8}{tuple(entry['shape'])!s:<17}{entry['meaning']}")


def _name_of(checkpoint: str) -> str:
    """The name of a shipped checkpoint, or of the run that a folder `RUN/checkpoint` is of."""
    folder = Path(checkpoint).resolve()
    return folder.parent.name if folder.name == "checkpoint" else folder.name


def _write_program(exported: ExportedProgram, about: dict[str, Any], file: Path) -> None:
    torch.export.save(exported, file, extra_files={ENTRY: json.dumps(about)})


def _write_library(exported: ExportedProgram, about: dict[str, Any], file: Path) -> None:
    settings = {"aot_inductor.metadata": {ENTRY: json.dumps(about)}}
    try:
        torch._inductor.aoti_compile_and_package(exported, package_path=str(file), inductor_configs=settings)
    except Exception as error:
        # the compiler's own errors are of many kinds, and hundreds of lines long
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"--format: 'library' could not be compiled: {reason}; allowed: program, onnx") from error


def _write_onnx(exported: ExportedProgram, about: dict[str, Any], file: Path) -> None:
    inputs, outputs = ([entry["name"] for entry in about[kind]] for kind in ("inputs", "outputs"))
    try:
        made = torch.onnx.export(exported, dynamo=True, verbose=False, input_names=inputs, output_names=outputs)
    except torch.onnx.errors.OnnxExporterError as error:
        operation = next((line.split("%")[1].split()[0] for line in str(error).splitlines() if "node %" in line), "an operation")
        raise ConfigError(
            f"--format: 'onnx' is not possible for {about['checkpoint']}: ONNX has no {operation}; allowed: program, library"
        ) from error
    assert made is not None
    made.model.metadata_props[ENTRY] = json.dumps(about)
    made.save(str(file))


_WRITERS: dict[str, Write] = {"program": _write_program, "library": _write_library, "onnx": _write_onnx}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporters say about themselves."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
