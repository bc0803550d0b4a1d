"""What a run is, in words: its robot, split, rules, data, privileges, revision and machine."""

from __future__ import annotations

from collections.abc import Iterator

from adaptive_mbrl.config import to_mapping
from adaptive_mbrl.training.report.history import History


def about_run(history: History) -> Iterator[tuple[str, str]]:
    """Pairs of a name and what it says, in reading order."""
    config, about, spec = history.config, history.description, history.description.spec
    yield "robot", f"{spec.name}: {spec.obs_dim} observations, {spec.action_dim} actions, control period {spec.dt:g} s"
    yield "split", config.scenarios or "none: the robot is that of the episodes"
    rules = " and then ".join(rule.TAG for rule in about.adaptation)
    yield (
        "adaptation",
        f"{rules}, from the last {about.window} transitions" if not about.is_multitask else "none (multi-task model)",
    )
    model = about.model
    yield "model", f"{model.members} networks of {' x '.join(map(str, model.hidden))} {model.activation} units"
    (planner, settings), *_ = to_mapping(about.planner).items()
    yield "planner", ", ".join([planner, *(f"{k} {v}" for k, v in settings.items() if k in ("horizon", "num_samples"))])
    yield "episodes", _episodes(history)
    yield "privileges", _privileges(history)
    yield "seed", str(config.seed)
    yield "code", f"revision {history.revision}" + _later_revision(history)


def machines(history: History) -> str:
    """What the rounds were computed on; the rounds of a run may have been on several machines."""
    found = [r.figures.machine for r in history.rounds if r.figures is not None]
    if not found:
        return "not recorded"
    words = []
    for m in dict.fromkeys(found):
        rounds = [r.number for r in history.rounds if r.figures is not None and r.figures.machine == m]
        device = "" if m.device == "cpu" else f", model on {m.device}"
        together = "" if m.processes == 1 else f", {m.processes} processes together"
        where = f" (rounds {', '.join(map(str, rounds))})" if len(set(found)) > 1 else ""
        words.append(f"{m.cpu}, {m.cores} cores{device}{together}, torch {m.torch}{where}")
    return "; ".join(words)


def duration(seconds: float) -> str:
    """A time in the two largest units that matter."""
    # rounded first, so that none is "60 s" or "1 h 60 min"
    if round(seconds) < 60:
        return f"{round(seconds)} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _episodes(history: History) -> str:
    source, collected = history.config.data.episodes_from, history.collections
    if source is not None:
        held_out = [e for e in ([] if history.store is None else history.store.episodes) if e.tags.get("validation")]
        num = "" if history.store is None else f" ({len(history.store.episodes)}, of which {len(held_out)} are held out)"
        return f"given: {source}{num}"
    numbers: dict[str, int] = {}
    for c in collected:
        numbers[c.source] = numbers.get(c.source, 0) + len(c.episodes)
    parts = [f"{num} by {'the controller' if name == 'policy' else name}" for name, num in numbers.items()]
    return f"collected: {', '.join(parts)}" if parts else "collected by the training; they are not there any more"


def _privileges(history: History) -> str:
    """What a robot could not give."""
    record, parts = history.last.record, []
    if record.oracle_steps:
        parts.append(f"planning on the true dynamics ({record.oracle_steps:,} simulated steps)")
    if record.branch_steps:
        parts.append(f"branches from snapshots of the simulator ({record.branch_steps:,} steps)")
    return "; ".join(parts) or "none"


def _later_revision(history: History) -> str:
    last = str(history.description.provenance.get("git_revision", history.revision))
    return "" if last == history.revision else f", its last round by {last}"
