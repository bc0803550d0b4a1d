"""Open-loop prediction error: how far a model can be trusted ahead, with and without adaptation.

After K recent transitions, all of them after the last change, a model predicts the H next observations from the actions that were
really sent. Every model is scored on the same windows. They are taken evenly from the episodes of all arms, so that no model is
scored only where its own planner has led it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.windows import Windows, WindowSampler, concatenate
from adaptive_mbrl.dynamics.normalizer import Normalizer

Array = NDArray[np.float64]
HORIZON = 10
STRIDE = 5
REFERENCE = "adaptive"
_CHUNK = 64  # number of windows at once: a belief may hold a network of its own for each of them


@dataclass(frozen=True)
class OpenLoop:
    """How far off each model's predictions are.

    Errors are RMS over channels, averaged over ensemble members. For every model, their unit is the target std of the adaptive
    checkpoint.

    Attributes:
        errors: the mean error of each seed at 1 to H steps ahead, (at most E, H), by model.
        windows: number of windows that the errors are the mean of, all seeds together.
    """

    errors: dict[str, Array]
    windows: int


@torch.no_grad()
def open_loop_errors(
    controllers: Mapping[str, AdaptiveController],
    episodes: Sequence[Sequence[Episode]],
    changes: Sequence[int],
    horizon: int = HORIZON,
    stride: int = STRIDE,
) -> OpenLoop | None:
    """Errors of every controller's model.

    Args:
        controllers: the controllers by name; the one named `REFERENCE` gives K and the units.
        episodes: the episodes of each arm, A times E; the e-th episodes of all arms have the same seed.
        changes: the step of the last change of each seed, E of them.
        horizon: H, the number of predicted steps.
        stride: number of steps between the beginnings of two windows.

    Returns:
        The errors. A seed that has no room for a window after its change is left out; None if that is so for every seed.
    """
    reference = controllers[REFERENCE]
    normalizer = reference.settings.adapter.normalizer
    errors: dict[str, list[Array]] = {name: [] for name in controllers}
    count = 0
    for index, change in enumerate(changes):
        windows = _windows([arm[index] for arm in episodes], change, reference, horizon, stride)
        if windows is None:
            continue
        count += len(windows.obs)
        for name, controller in controllers.items():
            errors[name].append(_errors(controller, normalizer, windows).mean(0).cpu().double().numpy())
    return OpenLoop({name: np.stack(rows) for name, rows in errors.items()}, count) if count else None


def _windows(
    episodes: Sequence[Episode], change: int, reference: AdaptiveController, horizon: int, stride: int
) -> Windows | None:
    """The windows of one seed's episodes, all arms together; None if no episode has room for one after the change."""
    first = change + reference.window
    parts = []
    for episode in episodes:
        starts = torch.arange(first, max(first, len(episode) - horizon + 1), stride, device=reference.device)
        if len(starts):
            parts.append(WindowSampler([episode], reference.window, horizon, reference.device).at(starts))
    return concatenate(parts) if parts else None


def _errors(controller: AdaptiveController, normalizer: Normalizer, windows: Windows) -> Tensor:
    """Errors of one model, one row per window, (W, H)."""
    errors = []
    for begin in range(0, len(windows.obs), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        recent = windows.recent.rows(rows)
        predictor = controller.predictor(recent)
        predicted = predictor.roll_out(windows.obs[rows, 0], windows.action[rows, None]).next_obs[:, :, 0]
        errors.append(normalizer.error(predicted, windows.obs[rows, 1:]).mean(0).square().mean(-1).sqrt())
    return torch.cat(errors)
