"""The model card of a training from recorded episodes: the checkpoint's README.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from adaptive_mbrl.checkpoint import Description
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.storage import write_text_atomically
from adaptive_mbrl.training.comparison import Comparison

CARD_FILE = "README.md"
MOST_SITUATIONS = 30
"""Situations that a card lists; of more, it says how many there are."""


def write_card(
    folder: Path,
    description: Description,
    training: Sequence[Episode],
    held_out: Sequence[Episode],
    comparison: Comparison | None,
) -> None:
    """Write what a checkpoint was trained on, what it reaches, and what that does not say.

    Args:
        folder: of the checkpoint.
        description: of the checkpoint.
        training: episodes that it was trained on.
        held_out: others.
        comparison: with the multi-task model, on the held-out episodes; None if there is none.
    """
    parts = [*_data(description, training, held_out), *([] if comparison is None else _figures(comparison)), *_limits(comparison)]
    write_text_atomically(folder / CARD_FILE, "\n".join(parts) + "\n")


def summary(comparison: Comparison) -> str:
    """The result in two sentences."""
    share, interval = comparison.saved()
    errors = f"{comparison.adaptive[:, -1].mean():.3f} with adapting, {comparison.multitask.mean():.3f} of the multi-task model"
    saved = f"Adapting saves {100 * share:.0f} %"
    if interval is None:
        saved += "; a single held-out episode has no interval"
    else:
        low, high = interval
        saved += f" [{100 * low:.0f}, {100 * high:.0f}]"
        saved += "" if low > 0 or high < 0 else "; the interval holds 0, so this is not decided"
    return f"Held-out error, mean over {comparison.horizon} steps open loop [target stds]: {errors}. {saved}."


def _data(description: Description, training: Sequence[Episode], held_out: Sequence[Episode]) -> Iterator[str]:
    spec, about = description.spec, description.provenance
    rules = ", then ".join(rule.TAG for rule in description.adaptation)
    yield f"# {spec.name}"
    yield ""
    yield f"A dynamics model of the robot '{spec.name}' ({spec.obs_dim} observations, {spec.action_dim} actions, control period"
    if description.is_multitask:
        yield f"{spec.dt:g} s) that does not adapt. It was trained from recorded episodes, without a simulator."
    else:
        yield f"{spec.dt:g} s) that adapts by {rules}, from the last {description.window} transitions. It was trained from"
        yield "recorded episodes, without a simulator."
    yield ""
    yield "| | episodes | steps | hours |"
    yield "|---|---|---|---|"
    for name, episodes in (("trained on", training), ("held out", held_out)):
        steps = sum(len(e) - e.history for e in episodes)
        yield f"| {name} | {len(episodes)} | {steps:,} | {steps * spec.dt / 3600:.2f} |"
    yield ""
    sources = Counter(str(e.tags.get("source", "not said")) for e in (*training, *held_out))
    yield f"Sources of the episodes: {', '.join(f'{source} ({num})' for source, num in sorted(sources.items()))}."
    yield f"{about['updates']:,} outer steps in {about['seconds']:,.0f} s, at revision {about['git_revision']}."
    yield ""


def _figures(comparison: Comparison) -> Iterator[str]:
    yield "## What adapting is worth"
    yield ""
    yield summary(comparison)
    yield "The interval is over the held-out episodes. It covers neither other training seeds nor other recordings."
    yield ""
    yield "| transitions seen | " + " | ".join(map(str, comparison.shots)) + " | multi-task |"
    yield "|---|" + "---|" * (len(comparison.shots) + 1)
    means = [*comparison.adaptive.mean(0), comparison.multitask.mean()]
    yield "| error | " + " | ".join(f"{value:.3f}" for value in means) + " |"
    yield ""
    steps = [*(h for h in (1, 2, 5, 10, 20, 50) if h < comparison.horizon), comparison.horizon]
    yield "| steps ahead | " + " | ".join(map(str, steps)) + " |"
    yield "|---|" + "---|" * len(steps)
    for name, errors in zip(("adaptive", "multi-task"), comparison.by_step, strict=True):
        yield f"| {name} | " + " | ".join(f"{errors[h - 1]:.3f}" for h in steps) + " |"
    yield ""
    yield from _by_situation(comparison)


def _by_situation(comparison: Comparison) -> Iterator[str]:
    names = sorted(set(comparison.situations))
    if len(names) == len(comparison.situations):
        return
    if len(names) > MOST_SITUATIONS:
        yield f"The held-out episodes are of {len(names)} situations."
        yield ""
        return
    yield "| held-out situation | episodes | adaptive | multi-task |"
    yield "|---|---|---|---|"
    for name in names:
        rows = np.array([situation == name for situation in comparison.situations])
        ours, theirs = comparison.adaptive[rows, -1].mean(), comparison.multitask[rows].mean()
        yield f"| {name} | {rows.sum()} | {ours:.3f} | {theirs:.3f} |"
    yield ""


def _limits(comparison: Comparison | None) -> Iterator[str]:
    yield "## Limits"
    yield ""
    if comparison is None:
        yield "- Nothing was compared with a model that does not adapt, so nothing says whether adapting pays here."
    yield "- The model knows only what the recordings show. Where a controller leads the robot elsewhere, it guesses."
    yield "- Prediction is not control: how well a robot moves under a plan of this model has not been measured."
    yield "- One training seed."
