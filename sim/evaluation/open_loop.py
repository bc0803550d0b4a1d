"""Open-loop prediction error: how far a model can be trusted ahead, with and without adaptation.

After K recent transitions, all of them after the last change of dynamics, a model predicts the H next observations from the
actions that were really sent. Every model is scored on the same windows, drawn evenly from the episodes of all arms, so that none
is scored only where its own planner has led it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episodes import Episode
from adaptive_mbrl.data.windows import Windows, WindowSampler, concatenate
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.transitions import Transitions

Array = NDArray[np.float64]
HORIZON = 10
STRIDE = 5
REFERENCE = "adaptive"
_CHUNK = 64  # windows at once: a belief may hold a network of its own for each


@dataclass(frozen=True)
class OpenLoop:
    """Errors by model: RMS over channels, in target stds of the adaptive checkpoint for every model, members averaged.

    Attributes:
        errors: by model, mean error of each seed at 1..H steps ahead, (at most E, H).
        windows: how many each mean stands on, all seeds together.
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
        controllers: by name; the one named `REFERENCE` gives K and the units.
        episodes: of A arms, E each; the e-th of all arms have the same seed.
        changes: step of the last change of each seed, E of them.
        horizon: H.
        stride: steps between two windows.

    Returns:
        None if after no change there are steps enough for one window; a seed where that is so is left out.
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
    """(W, H)."""
    errors = []
    for begin in range(0, len(windows.obs), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        recent = Transitions(*(field[rows] for field in windows.recent))
        predictor = controller.predictor(recent)
        predicted = predictor.roll_out(windows.obs[rows, 0], windows.action[rows, None]).next_obs[:, :, 0]
        errors.append(normalizer.error(predicted, windows.obs[rows, 1:]).mean(0).square().mean(-1).sqrt())
    return torch.cat(errors)
