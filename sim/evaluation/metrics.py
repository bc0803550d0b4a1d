"""Figures of merit of an evaluation, on plain arrays.

E is the number of episodes. The episodes of all arms are paired: the i-th of each has the same seed and the same changes.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from adaptive_mbrl.intervals import Interval, bootstrap_interval

Array = NDArray[np.float64]
Task = TypeVar("Task", bound=Hashable)

MEAN_STEPS = 10
"""Number of steps that a reward is averaged over before it is compared with a level."""
SHARE = 0.8
"""Share of the oracle's level that an arm has to reach."""
LATE_SHARE = 0.9
"""Share of its own late level that an arm has to reach."""
SMALLEST_GAP = 0.1
"""An episode or a task gets no score where oracle - random is below this share of its mean over all episodes."""


def return_after_change(rewards: Array, change: int) -> float:
    """Sum of the rewards of one episode from step `change` on.

    Args:
        rewards: the rewards of the episode, (T,).
        change: the first step that counts.
    """
    return float(np.sum(rewards[change:]))


def steps_to_share(arm: Array, random: Array, oracle: Array, change: int) -> int | None:
    """Control steps after a change until an arm reaches `SHARE` of the oracle's level, counted from the random policy's level.

    A level L is the mean reward over the last quarter of the steps after the change (at least `MEAN_STEPS` of them). The arm is
    there at the first k with

        mean(arm[change + k - 10 : change + k]) >= L_random + SHARE (L_oracle - L_random)
        mean(arm[change + k - 10 :])            >= L_random + SHARE (L_oracle - L_random)

    if its own late level is as high, too. So the level must be kept, on average over the rest of the episode and over its last
    quarter: a robot that falls soon afterwards, and stays down, has not recovered. The window holds steps after the change only,
    so that 10 is the smallest possible value. Unlike a level of the arm's own, the oracle's cannot be reached by settling for
    little.

    Args:
        arm: the rewards of one episode, (T,).
        random: the rewards of the random policy on the same episode, (T,).
        oracle: the rewards of the oracle on the same episode, (T,).
        change: the step of the change.

    Returns:
        k, or None if that never happens, fewer than 10 steps follow the change, or the oracle is no better than the random
        policy.
    """
    after = np.asarray(arm[change:], dtype=np.float64)
    if len(after) < MEAN_STEPS:
        return None
    low, high = (_late_level(np.asarray(rewards[change:], dtype=np.float64)) for rewards in (random, oracle))
    return None if high <= low else _first_kept(after, low + SHARE * (high - low), abs(high))


def steps_to_late_level(arm: Array, random: Array, change: int) -> int | None:
    """Control steps after a change until an arm reaches `LATE_SHARE` of its own late level, counted from the random policy's.

    It says how soon an arm does what it does in the end, however little that is: a robot that falls is there at once. Levels and
    conditions as in `steps_to_share`.

    Args:
        arm: the rewards of one episode, (T,).
        random: the rewards of the random policy on the same episode, (T,).
        change: the step of the change.

    Returns:
        The number of steps, or None if that never happens, fewer than 10 steps follow the change, or the arm's late level is no
        better than the random policy's.
    """
    after, base = (np.asarray(rewards[change:], dtype=np.float64) for rewards in (arm, random))
    if min(len(after), len(base)) < MEAN_STEPS:
        return None
    low, high = _late_level(base), _late_level(after)
    return None if high <= low else _first_kept(after, low + LATE_SHARE * (high - low), abs(high))


def _first_kept(after: Array, level: float, scale: float) -> int | None:
    """After how many steps the mean of the last `MEAN_STEPS` rewards is at a level that is kept, as `steps_to_share` says."""
    # means round, which must not make a reward at exactly the level look as if it were below
    least = level - 1e-9 * max(1.0, scale)
    if _late_level(after) < least:
        return None
    means = np.convolve(after, np.full(MEAN_STEPS, 1 / MEAN_STEPS), mode="valid")
    rest = np.cumsum(after[::-1])[::-1] / np.arange(len(after), 0, -1)
    there = np.flatnonzero(np.minimum(means, rest[: len(means)]) >= least)
    return int(there[0]) + MEAN_STEPS if len(there) else None


def _late_level(after: Array) -> float:
    return float(np.mean(after[-max(MEAN_STEPS, len(after) // 4) :]))


def difference_of_differences(arm: Array, other: Array, first_change: int, last_change: int) -> float | None:
    """What adapting to the change is worth: by how much more `arm` is ahead of `other` after the change than before it.

    Two arms may differ already on the unchanged robot, because their models differ. That part is subtracted, in proportion to the
    number of steps.

    Args:
        arm: the rewards of one episode, (T,).
        other: the rewards of another arm on the same episode, (T,).
        first_change: the step of the first change; what is before it counts as before.
        last_change: the step of the last change; what follows it counts as after.

    Returns:
        The difference in return after the change, or None where there is no step before.
    """
    return above_before(np.asarray(arm, dtype=np.float64) - np.asarray(other, dtype=np.float64), first_change, last_change)


def above_before(rewards: Array, first_change: int, last_change: int) -> float | None:
    """The return after the last change above what the same number of steps earn at the mean reward before the first change.

    Args:
        rewards: the rewards of one episode, (T,).
        first_change: the step of the first change.
        last_change: the step of the last change.

    Returns:
        The difference in return, or None where there is no step before the first change.
    """
    if first_change == 0:
        return None
    after = np.asarray(rewards[last_change:], dtype=np.float64)
    return float(after.sum() - len(after) * np.mean(rewards[:first_change], dtype=np.float64))


def interquartile_mean(values: Array) -> Array:
    """Mean of the middle half along the last axis: a quarter of the values, rounded down, is cut from each end.

    Args:
        values: any number of rows, (..., N); what is not finite is left out.

    Returns:
        One mean for each row, (...); NaN for a row without values.
    """
    ordered = np.sort(np.where(np.isfinite(values), values, np.nan), axis=-1)
    count = np.isfinite(ordered).sum(-1, keepdims=True)
    place, cut = np.arange(ordered.shape[-1]), count // 4
    kept = (place >= cut) & (place < count - cut)
    number = kept.sum(-1)
    return np.where(number > 0, np.where(kept, ordered, 0.0).sum(-1) / np.maximum(number, 1), np.nan)


def ratio_and_interval(numerator: Array, denominator: Array) -> tuple[float | None, Interval | None]:
    """The ratio of the means of paired values and its 95 % bootstrap interval; None if the second mean is not positive.

    Args:
        numerator: one value per episode, (E,).
        denominator: one value per episode, (E,).
    """

    def ratio(rows: Array) -> Array:
        above, below = rows[..., 0].mean(1), rows[..., 1].mean(1)
        return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)

    samples = np.stack([numerator, denominator], axis=1)
    value = float(ratio(samples[None])[0])
    return (value, bootstrap_interval(ratio, samples)) if np.isfinite(value) else (None, None)


@dataclass(frozen=True)
class NormalizedScore:
    """(arm - random) / (oracle - random): 0 is a random policy, 1 the planner on the true dynamics.

    Attributes:
        per_episode: one score per episode; None where oracle - random is too small to divide by (`SMALLEST_GAP`).
        mean: the ratio of the sums over all episodes; a single episode with a weak oracle cannot make it very large.
        median: the median of the episodes' scores.
        worst: the lowest score of a task. Episodes with the same last change are one task. The score of a task is a ratio of sums
            like `mean`; a task where oracle - random is too small is left out.
        iqm: the interquartile mean of the episodes' scores.
        ci95: the 95 % bootstrap interval of `mean`.
    """

    per_episode: tuple[float | None, ...]
    mean: float | None = None
    median: float | None = None
    worst: float | None = None
    iqm: float | None = None
    ci95: Interval | None = None


def normalized_score(arm: Array, random: Array, oracle: Array, tasks: Sequence[Hashable]) -> NormalizedScore:
    """Score the returns of an arm.

    Args:
        arm: the returns of the arm, (E,).
        random: the returns of the random policy on the same episodes, (E,).
        oracle: the returns of the oracle on the same episodes, (E,).
        tasks: the task that each episode belongs to, E of them.
    """
    gain, gap = arm - random, oracle - random
    usable = gap > SMALLEST_GAP * max(float(gap.mean()), 0.0)
    scores = np.divide(gain, gap, out=np.full_like(gain, np.nan), where=usable)
    per_episode = tuple(float(s) if np.isfinite(s) else None for s in scores)
    mean, interval = ratio_and_interval(gain, gap)
    if mean is None:
        return NormalizedScore(per_episode)
    finite = scores[np.isfinite(scores)]
    return NormalizedScore(
        per_episode,
        mean,
        float(np.median(finite)),
        min(task_scores(gain, gap, tasks).values()),
        float(interquartile_mean(finite)),
        interval,
    )


def task_scores(gain: Array, gap: Array, tasks: Sequence[Task]) -> dict[Task, float]:
    """The score of each task, a ratio of sums; tasks where oracle - random is too small (`SMALLEST_GAP`) are left out.

    Args:
        gain: arm - random of the episodes, (..., E).
        gap: oracle - random of the episodes, (E,). Where its mean is positive, at least one task counts.
        tasks: the task that each episode belongs to, E of them.
    """
    rows = {task: [i for i, other in enumerate(tasks) if other == task] for task in dict.fromkeys(tasks)}
    least = SMALLEST_GAP * float(gap.mean())
    return {task: float(gain[..., of].mean() / gap[of].mean()) for task, of in rows.items() if gap[of].mean() > least}
