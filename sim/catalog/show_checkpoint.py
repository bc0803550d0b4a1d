"""The card of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from adaptive_mbrl.canary import TOLERANCE, canary_deviation
from adaptive_mbrl.checkpoint import DESCRIPTION_FILE, NETWORK_FILES, Checkpoint, Description, find_checkpoint, load_checkpoint
from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.schema import default_in_words, describe
from adaptive_mbrl.training.card import CARD_FILE
from sim.catalog.card import Card


def show_checkpoint(name: str) -> Card:
    """What a checkpoint is, how it was made, and whether it still predicts what it predicted then.

    Args:
        name: folder of a checkpoint or of a run, or name of a shipped checkpoint.
    """
    folder = find_checkpoint(_within_run(Path(name)) or name)
    checkpoint = load_checkpoint(folder)
    description = checkpoint.description
    rules = [{"rule": rule.TAG, "settings": _settings(rule)} for rule in description.adaptation]
    planner = [{"planner": description.planner.TAG, "settings": _settings(description.planner)}]
    obs = [{"channel": c.name, "unit": c.unit, "kind": c.kind} for c in description.spec.obs]
    action = [{"channel": a.name, "unit": a.unit, "low": a.low, "high": a.high} for a in description.spec.action]
    card = folder / CARD_FILE
    return Card(
        "checkpoint",
        name,
        "",
        dict(_facts(checkpoint, folder)),
        {"Adaptation": rules, "Planner": planner, "Observation": obs, "Action": action},
        {"Card": card.read_text(encoding="utf-8").strip()} if card.is_file() else {},
    )


def _within_run(path: Path) -> Path | None:
    """The checkpoint of a run: that of its end, or the newest one of a training that goes on; None if it is no run."""
    if (path / DESCRIPTION_FILE).is_file() or not path.is_dir():
        return None
    places = [path / "checkpoint", path / "published" / "newest", *sorted(path.glob("rounds/[0-9]*/checkpoint"), reverse=True)]
    return next((place for place in places if (place / DESCRIPTION_FILE).is_file()), None)


def _facts(checkpoint: Checkpoint, folder: Path) -> Iterator[tuple[str, Any]]:
    description = checkpoint.description
    about = description.provenance
    yield "folder", str(folder)
    yield "robot", description.spec.name
    yield "control period [s]", description.spec.dt
    yield (
        "adapts by",
        "nothing (multi-task)" if description.is_multitask else ", then ".join(r.TAG for r in description.adaptation),
    )
    yield "transitions seen", description.window
    yield "objective", _objective(description)
    yield "termination", _termination(checkpoint)
    yield "trained on", about.get("scenarios") or about.get("episodes_from") or "recordings"
    yield "env steps", about.get("env_steps")
    yield "privileges", _privileges(about)
    yield "updates", about.get("updates")
    yield "training [min]", None if "seconds" not in about else round(about["seconds"] / 60, 1)
    yield "git revision", about.get("git_revision")
    model = description.model
    yield "network", f"{model.members} members of {'x'.join(map(str, model.hidden))} {model.activation}"
    networks = [getattr(checkpoint, name) for name in NETWORK_FILES]
    # those of a value or a learned reward do not train any more, but are parameters
    yield "parameters", sum(tensor.numel() for network in networks if network is not None for tensor in network.parameters())
    yield "size [kB]", round(sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) / 1000)
    yield "canary", _canary(checkpoint)


def _objective(description: Description) -> str:
    if description.learned_reward is not None:
        return "learned from the rewards of episodes"
    return ", ".join(f"{term.weight:g} {term.kind}" for term in description.terms) or "none"


def _termination(checkpoint: Checkpoint) -> str | None:
    if checkpoint.learned_termination is None:
        return None
    return "learned from ends of episodes" if checkpoint.learned_termination.knows_ends else "learned: no episode has ended"


def _privileges(about: dict[str, Any]) -> str:
    """What only a simulator can give, and how much of it the training had."""
    names = {"oracle_steps": "steps that the oracle simulated", "branch_steps": "steps of branches"}
    used = [f"{about[key]:,} {name}" for key, name in names.items() if about.get(key)]
    return ", ".join(used) or "none"


def _canary(checkpoint: Checkpoint) -> str:
    if checkpoint.canary is None:
        return "none: nothing was recorded to compare with"
    deviation = canary_deviation(checkpoint.adapter, checkpoint.canary)
    found = f"predictions differ from the recorded ones by {deviation:.1e} target stds"
    return f"sound: {found}" if deviation <= TOLERANCE else f"damaged: {found}; allowed: {TOLERANCE:g}"


def _settings(config: Any) -> str:
    """The settings that differ from the defaults."""
    values = to_mapping(config)[config.TAG]
    differing = [replace(key, default=values[key.name]) for key in describe(type(config)).keys if values[key.name] != key.default]
    return ", ".join(f"{key.name} {default_in_words(key)}" for key in differing) or "the defaults"
