"""Compares the robot's response to the test motion with the model's prediction. Finds swapped and inverted actuators.

The response of a robot to pulses with the signs +, -, -, + is

    r = (d1 - d2 - d3 + d4) / 4        d: observed minus predicted without the pulse, mean over the pulse

in which the robot's own motion (gravity, a slow turn) cancels. For pulses on actuator j the model predicts the response p_j. The
actuator that really moved is the one whose p_j has the same direction as r. If the direction is opposite, its sign is inverted.
Channels that are still without pulses count more in this comparison.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.predictor import Predictor
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.preflight.checks import Check, Verdict
from robot_bridge.preflight.motion import ORDER, MotionSegment, Trial
from robot_bridge.preflight.plausibility import unit_of_ratio

Array = NDArray[np.float64]
ALIKE, SURELY_ALIKE = 0.6, 0.75
"""Least cosine between the measured and a predicted response for a match, and for a match beyond doubt."""
CLEARLY_BETTER = 0.2
"""How much larger the cosine of another actuator must be to say that outputs are swapped."""
MIN_QUIET_SHARE = 0.1
"""Least quiet motion that is assumed of a channel in its weight, as a share of the predicted response."""
NO_RESPONSE = 0.15
"""A response smaller than this share of the predicted one counts as none."""
RESPONSE_OVER_QUIET = 2.0
"""How many times as large as the robot's own motion a response must be."""
WEAK, STRONG = 0.3, 3.0
"""Range of the gain, the measured response over the predicted one, outside of which there is a warning."""


class MotionResponse(NamedTuple):
    """The result of one trial, in target stds.

    Attributes:
        measured: the response r, (obs_dim,).
        predicted: the predicted response p_j for pulses on each actuator, (action_dim, obs_dim).
        quiet: what the formula of r gives for the quiet segments, (obs_dim,).
    """

    measured: Array
    predicted: Array
    quiet: Array

    def similarity(self, index: int) -> Array:
        """Cosine of the measured response and each predicted one, (action_dim,), in a trial of actuator `index`."""
        weight = self._weight(index)
        measured, predicted = weight * self.measured, weight * self.predicted
        sizes = np.linalg.norm(predicted, axis=1) * np.linalg.norm(measured)
        return predicted @ measured / np.maximum(sizes, 1e-12)

    def is_loud(self, index: int) -> bool:
        """Whether the robot moved clearly more than by itself."""
        weight = self._weight(index)
        return bool(np.linalg.norm(weight * self.measured) > RESPONSE_OVER_QUIET * np.linalg.norm(weight * self.quiet))

    def _weight(self, index: int) -> Array:
        """Weight of each channel, (obs_dim,), which is larger the less the channel moves without pulses."""
        floor = MIN_QUIET_SHARE * np.linalg.norm(self.predicted[index])
        return 1.0 / np.sqrt(self.quiet**2 + floor**2 + 1e-12)


def check_responses(adapter: Adapter[Any], spec: RobotSpec, trials: list[Trial]) -> list[Check]:
    """Check order and sign of every actuator.

    Args:
        adapter: the checkpoint's adapter, whose prior makes the predictions.
        spec: the checkpoint's robot spec.
        trials: the trial of each action channel, in the spec's order.
    """
    scale = adapter.normalizer.target_std.cpu().double().numpy()
    prior = adapter.condition(adapter.prior(1))
    return [judge(spec, index, response_of(prior, trial, index), scale) for index, trial in enumerate(trials)]


@torch.no_grad()
def response_of(prior: Predictor, trial: Trial, index: int) -> MotionResponse:
    """The measured and the predicted response in a trial of actuator `index`."""
    rest = trial.quiet[-1].sent[-1]
    pulses = [_predict(prior, segment, index, rest) for segment in trial.pulses]
    quiet = [_predict(prior, segment, index, rest) for segment in trial.quiet]
    return MotionResponse(
        _contrast([own for own, _ in pulses]), _contrast([change for _, change in pulses]), _contrast([own for own, _ in quiet])
    )


def _contrast(stretches: list[Array]) -> Array:
    """Half the difference between pushes and pulls."""
    return np.tensordot(ORDER, np.array(stretches), 1) / len(ORDER)


def judge(spec: RobotSpec, index: int, response: MotionResponse, scale: Array) -> Check:
    """The check of one actuator.

    Args:
        spec: the checkpoint's robot spec.
        index: index of the actuator that was to move.
        response: the measured and the predicted response.
        scale: one target std of each observation channel, in its unit, (obs_dim,).
    """
    measured, expected = response.measured, response.predicted[index]
    top = int(np.argmax(np.abs(expected)))
    channel, unit = spec.obs_names[top], spec.obs[top].unit
    seen = f"{channel} {measured[top] * scale[top]:+.3g} {unit}, predicted {expected[top] * scale[top]:+.3g}"
    verdict, found, advice = _find(spec, index, response, unit_of_ratio(measured[top] / expected[top], unit))
    return Check(f"motion of {spec.action_names[index]}", verdict, f"{found}: {seen}" if found else seen, advice)


def _find(spec: RobotSpec, index: int, response: MotionResponse, mistaken: str) -> tuple[Verdict, str, str]:
    """Verdict, finding and advice; `mistaken` is a unit that would explain the size of the response, or empty."""
    expected = response.predicted[index]
    gain = float(response.measured @ expected / (expected @ expected))
    alike = response.similarity(index)
    best = int(np.argmax(np.abs(alike)))
    verdict = Verdict.FAIL if abs(alike[best]) >= SURELY_ALIKE else Verdict.WARN
    if np.linalg.norm(response.measured) < NO_RESPONSE * np.linalg.norm(expected):
        return Verdict.FAIL, "no response", "is it switched on, unlocked, and does it listen to this output?"
    if not response.is_loud(index):
        return (
            Verdict.WARN,
            "cannot be told",
            "the robot moves as much by itself: support it, wait, or give a larger --amplitude",
        )
    if mistaken:
        return Verdict.FAIL, f"in {mistaken}?", "the channel is much larger than predicted: check its unit"
    if abs(alike[best]) > abs(alike[index]) + CLEARLY_BETTER and abs(alike[best]) >= ALIKE:
        inverted = " with the sign inverted" if alike[best] < 0 else ""
        return verdict, f"responds like {spec.action_names[best]}{inverted}", "order of outputs swapped? see output.order"
    if alike[index] <= -ALIKE:
        return verdict, "sign inverted", "invert the motor's direction in the driver or its wiring"
    if alike[index] < ALIKE:
        return Verdict.WARN, "unlike the model", "order or sign may be wrong, or the robot touches something"
    if not WEAK <= gain <= STRONG:
        return Verdict.WARN, f"{gain:.1f} times as strong as predicted", "check torque constant, gear ratio, scale of commands"
    return Verdict.PASS, "", ""


def _predict(prior: Predictor, segment: MotionSegment, index: int, at_rest: Array) -> tuple[Array, Array]:
    """The deviation from the motion at rest, mean over a segment, in target stds.

    Returns:
        The observed deviation, (obs_dim,), and the predicted one for the pulse on each actuator, (action_dim, obs_dim).
    """
    obs = torch.as_tensor(segment.obs, dtype=torch.float32)
    sent = torch.as_tensor(segment.sent, dtype=torch.float32)
    action_dim = sent.shape[1]
    rest = torch.as_tensor(at_rest, dtype=torch.float32)
    # the pulse on each actuator in turn, and last of all no pulse
    pulse = sent[:, index] - rest[index]
    actions = rest.expand(action_dim + 1, len(sent), action_dim).clone()
    for j in range(action_dim):
        actions[j, :, j] += pulse
    predicted = prior.roll_out(obs[:1], actions[None]).next_obs[:, 0]
    deviation = prior.error(predicted, predicted[:, -1:]).mean(dim=(0, 2))
    own = _mean_error(prior, obs[1:], predicted[:, -1])
    return own.cpu().double().numpy(), deviation[:-1].cpu().double().numpy()


def _mean_error(prior: Predictor, observed: Tensor, predicted: Tensor) -> Tensor:
    """Observed (W, obs_dim) minus predicted (P, W, obs_dim) values, mean over particles and time, in target stds, (obs_dim,)."""
    return prior.error(observed.expand_as(predicted), predicted).mean(dim=(0, 1))
