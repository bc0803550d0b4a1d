"""The sub-command `diagnose`: fits a diagnosis to a checkpoint's beliefs, and says how good it is on held-out episodes."""

from __future__ import annotations

import dataclasses

from rich.table import Table
from rich.text import Text

from adaptive_mbrl.checkpoint import load_checkpoint, save_checkpoint
from adaptive_mbrl.console import make_console
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.device import resolve_device
from adaptive_mbrl.diagnosis import DiagnosisConfig
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.meta.diagnosis_fit import Accuracy, accuracy, fit_diagnosis
from adaptive_mbrl.options import DiagnoseOptions
from adaptive_mbrl.revision import git_revision
from sim.diagnosis.windows import divide, draw_examples, known_stretches
from sim.scenarios.parameters import varying_parameters

_SHARE_OF_OTHERS = 4  # there are so many fewer windows to calibrate and to compare on


def diagnose(options: DiagnoseOptions) -> None:
    """Write a checkpoint with a diagnosis, and print the diagnosis' table."""
    if options.out.exists():
        raise CheckpointError(f"{options.out}: exists already; a checkpoint is never overwritten")
    device = resolve_device(options.device)
    checkpoint = load_checkpoint(options.checkpoint, device)
    about = checkpoint.description
    store = EpisodeStore.open(options.episodes, EpisodeStore.check(options.episodes, about.spec))
    try:
        fitting, calibrating, held_out = map(known_stretches, divide(store.episodes, options.held_out))
    except ConfigError as error:
        raise ConfigError(f"{options.episodes}: {error}") from error
    names = varying_parameters(stretch.change for stretch in fitting)
    if not names:
        raise ConfigError(f"{options.episodes}: no parameter changes in the scenarios of these episodes; nothing to diagnose")
    config = DiagnosisConfig(names, features=options.features, updates=options.updates)
    few = -(-options.windows // _SHARE_OF_OTHERS)
    to_fit, to_calibrate, to_compare = (
        draw_examples(known, names, about.window, num, options.seed + i).to(device)
        for i, (known, num) in enumerate(((fitting, options.windows), (calibrating, few), (held_out, few)))
    )
    try:
        diagnosis = fit_diagnosis(checkpoint.adapter, config, to_fit, to_calibrate, options.seed)
    except ConfigError as error:
        raise ConfigError(f"{options.checkpoint}: {error}") from error
    found = accuracy(diagnosis, checkpoint.adapter, to_compare)
    provenance = about.provenance | {
        "diagnosis": {
            "added_to": str(options.checkpoint),
            "episodes": str(options.episodes),
            "windows": options.windows,
            "held_out": [row._asdict() for row in found],
            "git_revision": git_revision() or "unknown",
        }
    }
    described = dataclasses.replace(about, diagnosis=config, provenance=provenance)
    save_checkpoint(options.out, dataclasses.replace(checkpoint, description=described, diagnosis=diagnosis))
    make_console().print(accuracy_table(found))
    situations = len({repr(stretch.change) for stretch in held_out})
    print(f"{few} windows of {situations} held-out changes; coverage: of two stated stds, 95 % for a Gaussian")
    print(f"Checkpoint: {options.out}")


def accuracy_table(found: list[Accuracy]) -> Table:
    """The accuracies as a table, a row for each parameter."""
    table = Table()
    table.add_column("parameter")
    for column in ("RMS error", "std of the label", "mean stated std", "coverage"):
        table.add_column(column, justify="right")
    for row in found:
        numbers = (f"{x:.3g}" for x in (row.rms_error, row.label_std, row.mean_std))
        table.add_row(Text(row.name), *numbers, f"{100 * row.coverage:.0f} %")
    return table
