"""The pictures of a training's report: each is drawn of the numbers that the run has recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from adaptive_mbrl.intervals import Curve, mean_and_interval, mean_curve
from adaptive_mbrl.pages.svg import COLOURS, INK, REFERENCES, as_svg, new_figure
from adaptive_mbrl.training.comparison import Comparison
from adaptive_mbrl.training.report.history import Collection, History

# only what draws loads it, since that takes half a second
if TYPE_CHECKING:
    from matplotlib.axes import Axes

ADAPTED, PRIOR, TRAINING = COLOURS[0], COLOURS[4], COLOURS[2]
"""The three of the palette that stand out on white and on black."""
UNIT = "error [target stds]"
MOST_TICKS = 6
SIZE = (3.0, 5.2)
"""Height and width of a picture [inches]: its text is large enough on a narrow screen."""


class Picture(NamedTuple):
    """A picture and what a reader has to know to read it."""

    svg: str
    words: str


def pictures(history: History) -> Iterator[Picture]:
    """All pictures for which the run has numbers."""
    drawn = (
        loss_picture(history),
        return_picture(history),
        horizon_picture(history),
        shots_picture(history),
        *_by_round(history),
        speed_picture(history),
    )
    return (picture for picture in drawn if picture is not None)


def loss_picture(history: History) -> Picture:
    """The losses over the outer steps."""
    figure, axes = new_figure(*SIZE)
    curve = [point for r in history.rounds if r.figures is not None for point in r.figures.losses]
    ends = {r.number: r.record.updates for r in history.rounds}
    points = curve or [(ends[i], loss) for i, loss in history.scalars("train/query_loss").items()]
    values = _line(axes, points, "training", TRAINING, marker="" if len(curve) > 1 else "o")
    for name, key, colour in (("validation, adapted", "adapted", ADAPTED), ("validation, prior", "prior", PRIOR)):
        found = history.scalars(f"validation/{key}_loss")
        values += _line(axes, [(ends[i], loss) for i, loss in found.items()], name, colour, dashed=key == "prior")
    for end in [*ends.values()][:-1]:
        axes.axvline(end, color=INK, linewidth=0.6, alpha=0.35, linestyle=":")
    if values and min(values) > 0:
        axes.set_yscale("log")
    axes.set(xlabel="outer steps", ylabel="query loss", xlim=(0, None))
    _whole_numbers_below(axes, nbins=MOST_TICKS)
    words = "Loss after adapting in training, and on held-out windows after each round; dotted lines are ends of rounds."
    return Picture(as_svg(figure, axes, "training and validation loss over the outer steps"), words)


def return_picture(history: History) -> Picture | None:
    """The returns of what was collected, once a controller or a robot has collected."""
    collected: dict[str, list[Collection]] = {}
    for c in history.collections:
        collected.setdefault(c.source, []).append(c)
    if not collected.keys() - REFERENCES.keys():
        return None
    figure, axes = new_figure(*SIZE)
    colours = iter((ADAPTED, TRAINING, COLOURS[3], PRIOR) * len(collected))
    for source, found in collected.items():
        if source in REFERENCES:
            mean = float(np.concatenate([c.returns for c in found]).mean())
            axes.axhline(mean, color=INK, linewidth=1.1, linestyle=REFERENCES[source], label=f"{source}, mean")
        else:
            _draw_returns(axes, found, "controller" if source == "policy" else source, next(colours))
    _rounds_below(axes)
    axes.set(ylabel="return of an episode")
    words = "Return of the episodes of each collection, with exploration noise: mean, 95 % interval, and the single ones."
    return Picture(as_svg(figure, axes, "collected return by round"), words)


def _draw_returns(axes: Axes, collected: Sequence[Collection], name: str, colour: str) -> None:
    means = []
    for c in collected:
        mean, ends = mean_and_interval(c.returns)
        means.append((c.round, mean))
        axes.plot(np.full(len(c.returns), c.round), c.returns, "o", color=colour, markersize=3, alpha=0.4, markeredgewidth=0)
        axes.plot([c.round] * 2, ends or (mean, mean), color=colour, linewidth=5, alpha=0.45, solid_capstyle="butt")
    _line(axes, means, f"{name}, mean", colour)


def horizon_picture(history: History) -> Picture | None:
    """The error at each step ahead, of the newest round."""
    found = history.held_out
    if found is None:
        return None
    figure, axes = new_figure(*SIZE)
    steps = np.arange(1, found.horizon + 1)
    _band(axes, steps, mean_curve(np.array(found.adapted)), "adapted", ADAPTED)
    _band(axes, steps, mean_curve(np.array(found.prior)), "prior", PRIOR, dashed=True)
    query = history.config.outer.query
    if query < found.horizon:
        axes.axvline(query, color=INK, linewidth=0.8, linestyle=":", label="steps that the loss is about")
    axes.set(xlabel="steps ahead", ylabel=UNIT, xlim=(1 if found.horizon > 1 else 0, found.horizon), ylim=(0, None))
    _whole_numbers_below(axes, min_n_ticks=1)
    words = (
        f"Open-loop error at each step ahead after round {history.last.number}, with and without adapting, on windows of "
        f"{len(found.episodes)} held-out episodes; bands are 95 % intervals over the episodes."
    )
    return Picture(as_svg(figure, axes, "error over the prediction horizon"), words)


def shots_picture(history: History) -> Picture | None:
    """The error by the number of transitions, of the newest round."""
    found = history.held_out
    if found is None:
        return None
    figure, axes = new_figure(*SIZE)
    # evenly spaced, since k doubles from point to point, but for 0
    places = np.arange(len(found.shots))
    _band(axes, places, mean_curve(np.array(found.by_shots)), "adapted", ADAPTED, marker="o")
    axes.set_xticks(places, [str(k) for k in found.shots])
    axes.set(xlabel="transitions seen, k", ylabel=UNIT, ylim=(0, None))
    words = f"K-shot curve: mean error over {found.horizon} steps after adapting to the newest k transitions."
    return Picture(as_svg(figure, axes, "error after k transitions"), words)


def comparison_picture(compared: Comparison) -> Picture:
    """The error of the adaptive and of the multi-task model at each step ahead."""
    figure, axes = new_figure(*SIZE)
    for name, errors, colour in zip(("adaptive", "multi-task"), compared.by_step, (ADAPTED, PRIOR), strict=True):
        _line(axes, [*enumerate(errors, 1)], name, colour, dashed=name != "adaptive")
    axes.set(xlabel="steps ahead", ylabel=UNIT, ylim=(0, None))
    _whole_numbers_below(axes, min_n_ticks=1)
    words = "Open-loop error of both models at each step ahead, on the same windows of held-out episodes."
    return Picture(as_svg(figure, axes, "error of the adaptive and the multi-task model"), words)


def speed_picture(history: History) -> Picture:
    """Where the time of each round went."""
    figure, axes = new_figure(*SIZE)
    rounds = [r.number for r in history.rounds]
    totals = np.diff([0.0, *(r.record.seconds for r in history.rounds)])
    known = [None if r.figures is None else r.figures.collect_seconds for r in history.rounds]
    collecting = np.array([0.0 if seconds is None else seconds for seconds in known])
    if any(r.figures is not None for r in history.rounds):
        axes.bar(rounds, totals - collecting, color=TRAINING, label="fitting")
        axes.bar(rounds, collecting, bottom=totals - collecting, color=ADAPTED, hatch="//", label="collecting, or waiting for it")
    else:
        axes.bar(rounds, totals, color=TRAINING, label="all")
    _rounds_below(axes)
    axes.set(ylabel="seconds")
    return Picture(as_svg(figure, axes, "computing time by round"), "Computing time of each round.")


def _by_round(history: History) -> Iterator[Picture]:
    """Figures that are one number for each round."""
    steps = furthest_step(history)
    errors = {f"{name}": f"validation/{name}_error_{steps}_steps" for name in ("adapted", "prior")}
    yield from _of_scalars(
        history, errors, UNIT, f"error {steps} steps ahead by round", f"Held-out error {steps} steps ahead after each round."
    )
    seen = {"adapted": "collect/adapted_error", "prior": "collect/prior_error"}
    yield from _of_scalars(
        history, seen, UNIT, "error while collecting, by round", "One-step error of the controller while it collected."
    )
    norms = {"adapted": "gradient/adapted_norm", "prior": "gradient/prior_norm"}
    words = "Norm of the outer gradient of the loss after adapting, and of the loss without adapting."
    yield from _of_scalars(history, norms, "gradient norm", "gradient norms by round", words)
    words = (
        "Cosine between the two gradients. Near 1, what is good after adapting is good without; "
        "near 0 or below, the prior that adapts best is another one than the multi-task model."
    )
    yield from _of_scalars(history, {"cosine": "gradient/cosine"}, "cosine", "cosine of the gradients by round", words)
    names = dict.fromkeys(n for r in history.rounds for n in r.record.scalars if n.startswith("rank_correlation/"))
    ranks = {n.split("/")[1].replace("_", " "): n for n in names}
    words = "Does the model order plans as the simulator does? Rank correlation of predicted and true returns; 1 is best."
    yield from _of_scalars(history, ranks, "rank correlation", "rank correlation of plans by round", words)


def furthest_step(history: History) -> int:
    """The furthest step ahead up to 10 whose error each round records; 0 without any."""
    names = [n for n in history.last.record.scalars if n.startswith("validation/adapted_error_")]
    return max((s for s in (int(n.split("_")[-2]) for n in names) if s <= 10), default=0)


def _of_scalars(history: History, names: Mapping[str, str], ylabel: str, title: str, words: str) -> Iterator[Picture]:
    series = {label: history.scalars(name) for label, name in names.items()}
    if not any(series.values()):
        return
    figure, axes = new_figure(*SIZE)
    colours = (ADAPTED, PRIOR, TRAINING, COLOURS[3])
    for number, (label, values) in enumerate(series.items()):
        _line(axes, [*values.items()], label, colours[number % len(colours)], dashed=label == "prior")
    _rounds_below(axes)
    axes.set(ylabel=ylabel)
    shown = [v for values in series.values() for v in values.values()]
    if min(shown) >= 0:
        axes.set_ylim(0, 1.06 * max(shown) or 1.0)
    yield Picture(as_svg(figure, axes, title), words)


def _line(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    name: str,
    colour: str,
    *,
    marker: str = "o",
    dashed: bool = False,
) -> list[float]:
    """Draw a line, if there are points, and return their values."""
    if points:
        x, y = zip(*points, strict=True)
        style = (0, (4, 2)) if dashed else "-"
        axes.plot(x, y, color=colour, linestyle=style, linewidth=1.8, marker=marker, markersize=4, label=name)
    return [value for _, value in points]


def _band(axes: Axes, x: np.ndarray, curve: Curve, name: str, colour: str, *, dashed: bool = False, marker: str = "") -> None:
    marker = marker or ("o" if len(x) == 1 else "")
    _line(axes, [*zip(x, curve.mean, strict=True)], name, colour, dashed=dashed, marker=marker)
    axes.fill_between(x, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)


def _rounds_below(axes: Axes) -> None:
    axes.set_xlabel("round")
    _whole_numbers_below(axes, min_n_ticks=1)
    low, high = axes.get_xlim()
    if high - low < 1:
        # a single round, whose axis would have fractions of rounds
        axes.set_xlim(round(low) - 0.5, round(high) + 0.5)


def _whole_numbers_below(axes: Axes, **settings: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, **settings))
