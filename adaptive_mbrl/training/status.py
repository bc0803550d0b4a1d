"""How fast a training is, and how long it will still take: the bar of a fit, and what the line of a round says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from tqdm import tqdm

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.training.config import TrainConfig

_LINE = "{desc} {percentage:3.0f}%|{bar:6}| {status}"
"""The format of `tqdm`; all that it says fits into 100 columns."""


class Status:
    """What the rounds of this process have shown so far.

    Args:
        config: the configuration of the run.
        device: where the model is trained.
    """

    def __init__(self, config: TrainConfig, device: torch.device | str) -> None:
        self._config, self._device = config, torch.device(device)
        self._round = 0
        self._collected: tuple[float, float] | None = None
        self._collection_seconds: float | None = None
        self._is_while_fitting = False
        self._updates_per_second: float | None = None

    def collected(self, episodes: Sequence[Episode], about: Mapping[str, Any], index: int) -> None:
        """Take note of the collection of round `index`.

        Args:
            episodes: all episodes so far.
            about: what the store knows about the batch of this round.
            index: number of the round.
        """
        steps = sum(len(e) - e.history for e in episodes if e.batch == index and not e.is_branch)
        seconds = about.get("seconds")
        self._collected = None if not seconds else (float(steps), seconds)
        if index > 0:
            # a controller collects in another way than round 0, so that says nothing about what is to come
            self._collection_seconds = seconds

    def collected_batches(self, steps: int, seconds: float, per_round: float | None, *, while_fitting: bool) -> None:
        """Take note of what was collected since the last round, in any number of batches.

        Args:
            steps: number of env steps.
            seconds: how long their collection took, by all collectors at once [s].
            per_round: how long they need for the episodes of a round [s]; None if no controller has collected.
            while_fitting: whether a round is collected while another one is fitted, so that the slower of both counts.
        """
        self._collected = (float(steps), seconds) if seconds else None
        self._collection_seconds = per_round or self._collection_seconds
        self._is_while_fitting = while_fitting

    @contextmanager
    def fitting(self, index: int, updates: int, *, shown: bool, done: int = 0) -> Iterator[FitBar]:
        """The bar of a fit.

        Args:
            index: number of the round.
            updates: number of its outer steps.
            shown: whether anybody is to see it.
            done: how many of them were done before the training was interrupted.
        """
        self._round, label = index, f"round {index}/{self._config.num_rounds - 1} fit"
        with FitBar(self, total=updates, initial=done, desc=label, leave=False, disable=not shown, bar_format=_LINE) as bar:
            yield bar
            if not bar.disable:
                self._updates_per_second = bar.updates_per_second

    def seconds_after(self, updates_per_second: float) -> float | None:
        """How long the rounds after this one will take [s]; None while no controller has collected, but will."""
        config, later = self._config, range(self._round + 1, self._config.num_rounds)
        if any(config.collects(index) for index in later) and self._collection_seconds is None:
            return None
        fits = [config.updates_of(index) / updates_per_second for index in later]
        collections = [config.collects(index) * (self._collection_seconds or 0.0) for index in later]
        return sum(map(max, fits, collections)) if self._is_while_fitting else sum(fits) + sum(collections)

    @property
    def updates_per_second(self) -> float | None:
        """The speed of the last fit; None where nobody has measured one."""
        return self._updates_per_second

    def seconds_left(self) -> float | None:
        """How long the run will still take after the last fit [s]; None where nobody knows."""
        return None if self._updates_per_second is None else self.seconds_after(self._updates_per_second)

    def of_round(self) -> str:
        """Speeds and the time that is left, for the line of a round that is done; empty if nothing is known."""
        parts = []
        if self._collected is not None:
            steps, seconds = self._collected
            parts.append(f"{speed(steps / seconds)} env steps/s")
        self._collected = None
        if self._updates_per_second is not None:
            parts.append(f"{speed(self._updates_per_second)} updates/s")
            if left := self.seconds_left():
                parts.append(f"about {tqdm.format_interval(left)} left")
        return ", ".join([*parts, *gpu_use(self._device)])

    def gpu(self) -> list[str]:
        """The use of the GPU in words; empty without one."""
        return gpu_use(self._device)


class FitBar(tqdm):
    """A bar that also says the loss, how long the whole run will still take, and how busy the GPU is.

    Args:
        status: what is known about the run.
        settings: those of `tqdm`.
    """

    def __init__(self, status: Status, **settings: Any) -> None:
        self._status = status
        self._loss: float | None = None
        super().__init__(**settings)

    def report(self, scalars: Mapping[str, float]) -> None:
        """Show what is known about the outer steps so far."""
        self._loss = scalars.get("train/query_loss", self._loss)

    @property
    def updates_per_second(self) -> float | None:
        """The mean since the fit began; None before its first step."""
        return _mean_speed(super().format_dict)

    @property
    def format_dict(self) -> dict[str, Any]:
        """What the bar may show; overrides that of `tqdm`, which calls it for every line."""
        given = super().format_dict
        return {**given, "status": self._text(given["rate"] or _mean_speed(given), given["total"] - given["n"])}

    def _text(self, rate: float | None, updates_left: int) -> str:
        parts = [] if rate is None else [f"{speed(rate)} updates/s"]
        parts += [] if self._loss is None else [f"loss {self._loss:.3g}"]
        if rate is not None:
            left, after = updates_left / rate, self._status.seconds_after(rate)
            run = f" (run {tqdm.format_interval(left + after)})" if after else ""
            parts.append(f"{tqdm.format_interval(left)} left{run}")
        return ", ".join([*parts, *self._status.gpu()])


def _mean_speed(given: Mapping[str, Any]) -> float | None:
    done = given["n"] - given["initial"]
    return done / given["elapsed"] if done and given["elapsed"] else None


def speed(per_second: float) -> str:
    """A speed in two digits or more."""
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"


def gpu_use(device: torch.device) -> list[str]:
    """How busy a GPU is and how much of its memory is in use, by all processes; empty for a CPU."""
    if device.type != "cuda":
        return []
    free, total = torch.cuda.mem_get_info(device)
    memory = f"{(total - free) / 2**30:.0f}/{total / 2**30:.0f} GB"
    try:
        return [f"GPU {torch.cuda.utilization(device)}% {memory}"]
    except Exception:  # nvidia-ml-py, which asks the driver, is not installed, or raises an error of its own about this GPU
        return [f"GPU {memory}"]
