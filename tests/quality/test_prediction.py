"""What shipped checkpoints predict after a change: better than without adapting, and the controller has the same belief."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from adaptive_mbrl.canary import TOLERANCE
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.controller import AdaptiveController, StepInfo, StepOptions
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.meta.losses import query_errors
from tests.quality.shipped import ADAPTIVE

MAX_RATIO = 0.75
"""Largest error after adapting in errors of the prior, open loop over the query."""


@pytest.mark.parametrize("name", ADAPTIVE)
def test_after_a_change_the_adapted_model_predicts_better_than_the_prior(name: str):
    """On recorded windows that lie after a change at the end of the range that was trained on."""
    checkpoint = load_checkpoint(name)
    adapter, canary = checkpoint.adapter, checkpoint.canary
    assert canary is not None
    errors = {}
    with torch.no_grad():
        beliefs = {"prior": adapter.prior(len(canary.prior)), "adapted": adapter.infer(canary.windows.recent)}
        for which, belief in beliefs.items():
            errors[which] = query_errors(adapter.condition(belief), canary.windows).square().mean().sqrt()

    assert errors["adapted"] < MAX_RATIO * errors["prior"]


def replayed(name: str, windows: Windows) -> StepInfo:
    """What a controller reports that gets the windows' observations one after the other, a robot for each window.

    It is the report of the first query step: how well the beliefs of prior and window predicted it.
    """
    planner = dataclasses.replace(load_checkpoint(name).description.planner, horizon=3)
    # some windows are of robots whose actions act late or reversed, and what was recorded is the belief that looks for neither
    controller = AdaptiveController.load(name, planner=planner, gate=None, max_delay=0, reversals=None)
    recent, query, action, _ = windows
    goal = np.zeros((len(query), controller.settings.score.reward.goal_dim), np.float32)
    obs = torch.cat([recent.obs, query[:, :2]], dim=1).numpy()
    sent = torch.cat([recent.action, action[:, :1]], dim=1).numpy()
    command = controller.step(obs[:, 0], goal)
    for t in range(1, obs.shape[1]):
        command = controller.step(obs[:, t], goal, StepOptions(sent=sent[:, t - 1]))
    return command.info


@pytest.mark.parametrize("name", ADAPTIVE)
def test_a_controller_believes_what_its_window_says(name: str):
    """Its window ends with the newest transition, and each robot's belief is its own."""
    checkpoint = load_checkpoint(name)
    canary, normalizer = checkpoint.canary, checkpoint.adapter.normalizer
    assert canary is not None

    info = replayed(name, canary.windows)

    for reported, predicted in ((info.prior_error, canary.prior), (info.adapted_error, canary.adapted)):
        error = normalizer.error(predicted[:, 0], canary.windows.obs[:, 1]).square().mean(-1).sqrt()
        np.testing.assert_allclose(reported, error, atol=TOLERANCE)
    # else the comparison could not tell one belief from another
    assert np.abs(info.adapted_error - np.roll(info.adapted_error, 1)).max() > 10 * TOLERANCE
