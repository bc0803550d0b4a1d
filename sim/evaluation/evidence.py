"""K-shot predictions: how far off a model's open-loop predictions are, when it has seen k transitions of the present dynamics.

Every model and every k is asked about the same windows of the same episodes, so that nothing but the evidence differs: the window
of recent transitions is cut to the k newest ones. With k = 0 the belief is the prior. Windows begin late enough that the largest
k fits between the last change and their beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.adaptation.network_adapter import NetworkAdapter
from adaptive_mbrl.adaptation.reversal import as_wired
from adaptive_mbrl.adaptation.rule import RecursiveRule
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.statistics import transition_statistics
from adaptive_mbrl.data.windows import Windows, WindowSampler
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.spec import RobotSpec
from sim.evaluation.open_loop import HORIZON, STRIDE

Array = NDArray[np.float64]
EVIDENCE = (0, 1, 2, 4, 8, 16, 32, 64)
"""The numbers k of transitions."""
_CHUNK = 64


@dataclass(frozen=True)
class EvidenceErrors:
    """What more evidence is worth to a model.

    Errors are RMS over channels, averaged over 1 to `HORIZON` steps ahead, in stds of the one-step changes in the episodes.

    Attributes:
        evidence: the numbers k that fit into the episodes.
        errors: error of every episode after every k, (E, len(evidence)); NaN for an episode without room for a window.
        windows: number of windows of every episode, E of them.
    """

    evidence: tuple[int, ...]
    errors: Array
    windows: tuple[int, ...]


@torch.no_grad()
def evidence_errors(
    controller: AdaptiveController, episodes: Sequence[Episode], changes: Sequence[int], evidence: Sequence[int] = EVIDENCE
) -> EvidenceErrors:
    """Errors of a controller's model after k transitions.

    Args:
        controller: brings the model and the rule.
        episodes: E episodes, the same ones for every model that is compared.
        changes: the step of the last change of each episode, E of them.
        evidence: the numbers k, rising.
    """
    room = [len(episode) - HORIZON - change for episode, change in zip(episodes, changes, strict=True)]
    fitting = tuple(k for k in evidence if k <= max(room, default=-1))
    unit = common_unit(controller.spec, episodes).to(controller.device)
    rows, counts = [], []
    for episode, change in zip(episodes, changes, strict=True):
        windows = _windows(controller, episode, change, max(fitting, default=0))
        counts.append(0 if windows is None else len(windows.obs))
        rows.append([np.nan if windows is None else _error(controller, unit, windows, k) for k in fitting])
    return EvidenceErrors(fitting, np.array(rows).reshape(len(episodes), len(fitting)), tuple(counts))


def common_unit(spec: RobotSpec, episodes: Sequence[Episode]) -> Normalizer:
    """A unit of error that belongs to no model: the stds of the changes in the episodes themselves."""
    pairs = ((torch.tensor(e.obs[:-1]), torch.tensor(e.obs[1:])) for e in episodes if len(e))
    unit = Normalizer(spec)
    unit.fit(transition_statistics(spec, pairs))
    return unit


def _windows(controller: AdaptiveController, episode: Episode, change: int, most: int) -> Windows | None:
    """Windows whose recent part is as deep as the rule can look back; None if the episode is too short."""
    first = change + most
    starts = torch.arange(first, max(first, len(episode) - HORIZON + 1), STRIDE)
    if not len(starts):
        return None
    depth = max(controller.window, most) if _is_recursive(controller) else controller.window
    return WindowSampler([episode], depth, HORIZON, controller.device).at(starts)


def _is_recursive(controller: AdaptiveController) -> bool:
    """Whether the belief can be carried over more transitions than the window has."""
    adapter = as_wired(controller.settings.adapter)
    return isinstance(adapter, NetworkAdapter) and all(isinstance(rule, RecursiveRule) for rule in adapter.rules)


def _error(controller: AdaptiveController, unit: Normalizer, windows: Windows, known: int) -> float:
    errors: list[Tensor] = []
    for begin in range(0, len(windows.obs), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        obs, action = windows.obs[rows], windows.action[rows]
        predictor = controller.predictor(windows.recent.rows(rows).newest(known))
        predicted = predictor.roll_out(obs[:, 0], action[:, None]).next_obs[:, :, 0]
        errors.append(unit.error(predicted, obs[:, 1:]).mean(0).square().mean(-1).sqrt())
    return float(torch.cat(errors).mean())
