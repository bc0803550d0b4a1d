"""The worst validation episode, and a short video of it."""

from __future__ import annotations

import base64
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.errors import reason_of
from adaptive_mbrl.training.report.history import History, return_of

Film = Callable[[Episode, Path], None]
"""Draws an episode into an mp4 file. Where that cannot be done, it raises an error that says why."""
VIDEO_FILE = "report.mp4"
"""Beside the page, where the video is too large to be in it."""
LARGEST_INSIDE = 2_000_000
"""Bytes of a video that is put into the page."""


class Shown(NamedTuple):
    """What the page shows of an episode.

    Attributes:
        caption: which episode it is.
        changes: what happens in it, in words.
        source: where the page has its video from: a data URI, or the name of a file beside it; None without a video.
        why_not: why there is no video; None with one.
    """

    caption: str
    changes: tuple[str, ...]
    source: str | None
    why_not: str | None


def worst_episode(history: History) -> tuple[Episode, str] | None:
    """The episode with the lowest return, and what it is in a sentence; None where no episode is there any more.

    It is one of the newest validation episodes of the controller. Before the controller has collected, it is one of the
    others, and where nothing is held out for validation, it is one of those that are trained on.
    """
    newest, where = _newest(history)
    if not newest:
        return None
    held_out = [e for e in newest if e.tags.get("validation")]
    chosen = held_out or newest
    worst = min(chosen, key=return_of)
    kind = "validation episode" if held_out else "training episode (none is held out for validation)"
    among = f"the only {kind}" if len(chosen) == 1 else f"the lowest of {len(chosen)} {kind.replace('episode', 'episodes')}"
    return worst, f"Return {return_of(worst):,.1f}: {among} {where}, by the {_actor(worst)}."


def _newest(history: History) -> tuple[list[Episode], str]:
    """The newest episodes, the controller's if it has any, and where they are from."""
    by_controller = [c for c in history.collections if c.source == "policy"]
    if history.collections:
        last = (by_controller or history.collections)[-1].round
        found = [c for c in by_controller or history.collections if c.round == last]
        return [e for c in found for e in c.episodes], f"collected in round {last}"
    trunks = [] if history.store is None else [e for e in history.store.episodes if not e.is_branch]
    given = [e for e in trunks if e.tags.get("source") == "policy"] or trunks
    newest = max((e.batch for e in given), default=0)
    return [e for e in given if e.batch == newest], "of the newest batch that the training was given"


def _actor(episode: Episode) -> str:
    source = str(episode.tags.get("source", "unknown source"))
    return {"policy": "controller", "random": "random policy", "oracle": "planner on the true dynamics"}.get(source, source)


def changes_of(episode: Episode, dt: float) -> Iterator[str]:
    """The changes of a simulated episode in words, with the time at which each begins."""
    for change in episode.tags.get("scenario", {}).get("changes", ()):
        words = [f"{key.replace('_', ' ')} {_value(value)}" for key, value in change.items() if key != "at"]
        yield f"from {change['at'] * dt:.1f} s on: {'; '.join(words) or 'as it was built'}"


def _value(value: Any) -> str:
    """A number, a list of them, or one for each part of the robot."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return "(" + ", ".join(map(_value, value)) + ")"
    return f"{value:.3g}" if isinstance(value, float | int) else str(value)


def film_worst(history: History, film: Film | None, folder: Path) -> Shown:
    """Film the worst episode.

    Args:
        history: the run.
        film: draws an episode; None where nothing can.
        folder: where the page is to lie.
    """
    found = worst_episode(history)
    if found is None:
        return Shown("", (), None, "the episodes of this run are not there any more")
    episode, caption = found
    changes = tuple(changes_of(episode, history.description.spec.dt))
    if film is None:
        return Shown(caption, changes, None, "this training knows no simulator that could draw its robot")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".unfinished-report-") as temporary:
        path = Path(temporary) / VIDEO_FILE
        try:
            film(episode, path)
        except Exception as error:  # whatever it is, the rest of the page is worth more
            return Shown(caption, changes, None, reason_of(error).rstrip("."))
        return Shown(caption, changes, _placed(path, folder), None)


def _placed(video: Path, folder: Path) -> str:
    if video.stat().st_size > LARGEST_INSIDE:
        shutil.move(video, folder / VIDEO_FILE)
        return VIDEO_FILE
    return f"data:video/mp4;base64,{base64.b64encode(video.read_bytes()).decode()}"
