"""Did the robot response a test motion as the checkpoint's model of it does? Finds swapped and inverted actuators.

The response of a robot to pulses of signs +, -, -, + is

    r = (d1 - d2 - d3 + d4) / 4        d: mean over a pulse of what was observed minus what the model predicts without the pulse

so that what the robot does by itself (gravity, a slow turn) cancels. The model predicts the same of pulses on actuator j: p_j.
The actuator that really moved is the one whose p_j points the same way as r, each channel weighed by how still it is without
pulses; pointing the other way is an inverted sign.
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
"""Cosine from which an response agrees with a predicted one, and from which it can be no other."""
CLEARLY_BETTER = 0.2
"""By how much another actuator's prediction must fit better before outputs may be swapped."""
MIN_QUIET_SHARE = 0.1
"""Least motion without pulses that a channel is weighed by, as a share of the predicted response."""
NO_RESPONSE = 0.15
"""Share of the predicted response below which there is none."""
RESPONSE_OVER_QUIET = 2.0
"""How many times as large as the robot's own motion an response must be."""
WEAK, STRONG = 0.3, 3.0
"""Gain, against the predicted response, outside of which is a warning."""


class MotionResponse(NamedTuple):
    """What came of one trial, in target stds.

    Attributes:
        measured: r, (obs_dim,).
        predicted: p_j of a pulse on each actuator, (action_dim, obs_dim).
        quiet: the same as `measured` of stretches without pulses, (obs_dim,).
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
        """Of each channel, (obs_dim,): the stiller it is without pulses, the more it says."""
        floor = MIN_QUIET_SHARE * np.linalg.norm(self.predicted[index])
        return 1.0 / np.sqrt(self.quiet**2 + floor**2 + 1e-12)


def check_responses(adapter: Adapter[Any], spec: RobotSpec, trials: list[Trial]) -> list[Check]:
    """Order and sign of every actuator.

    Args:
        adapter: of the checkpoint; its prior is asked.
        spec: of the checkpoint.
        trials: one for each action channel, in the spec's order.
    """
    scale = adapter.normalizer.target_std.cpu().double().numpy()
    prior = adapter.condition(adapter.prior(1))
    return [judge(spec, index, response_of(prior, trial, index), scale) for index, trial in enumerate(trials)]


@torch.no_grad()
def response_of(prior: Predictor, trial: Trial, index: int) -> MotionResponse:
    """Of a trial of actuator `index`."""
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
    """What one actuator's response says.

    Args:
        spec: of the checkpoint.
        index: the actuator that was meant.
        response: see `MotionResponse`.
        scale: one target std of each observation channel, in its unit, (obs_dim,).
    """
    measured, expected = response.measured, response.predicted[index]
    top = int(np.argmax(np.abs(expected)))
    channel, unit = spec.obs_names[top], spec.obs[top].unit
    seen = f"{channel} {measured[top] * scale[top]:+.3g} {unit}, predicted {expected[top] * scale[top]:+.3g}"
    verdict, found, advice = _find(spec, index, response, unit_of_ratio(measured[top] / expected[top], unit))
    return Check(f"motion of {spec.action_names[index]}", verdict, f"{found}: {seen}" if found else seen, advice)


def _find(spec: RobotSpec, index: int, response: MotionResponse, mistaken: str) -> tuple[Verdict, str, str]:
    """Verdict, what was found and advice; `mistaken` is the unit that the size of the response speaks for."""
    expected = response.predicted[index]
    gain = float(response.measured @ expected / (expected @ expected))
    alike = response.similarity(index)
    best = int(np.argmax(np.abs(alike)))
    verdict = Verdict.FAIL if abs(alike[best]) >= SURELY_ALIKE else Verdict.WARN
    if np.linalg.norm(response.measured) < NO_RESPONSE * np.linalg.norm(expected):
        return Verdict.FAIL, "no response", "is it switched on, unlocked, and does it listen to this output?"
    if not response.is_loud(index):
        return Verdict.WARN, "cannot be told", "the robot moves as much by itself: support it, wait, or give a larger --amplitude"
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
    """What a segment adds to the robot's motion at rest, mean over it in target stds.

    Returns:
        Observed minus predicted at rest, (obs_dim,), and predicted, had the pulse gone to each actuator, (action_dim, obs_dim).
    """
    obs = torch.as_tensor(segment.obs, dtype=torch.float32)
    sent = torch.as_tensor(segment.sent, dtype=torch.float32)
    action_dim = sent.shape[1]
    rest = torch.as_tensor(at_rest, dtype=torch.float32)
    # with the pulse moved to each actuator, and without it
    pulse = sent[:, index] - rest[index]
    actions = rest.expand(action_dim + 1, len(sent), action_dim).clone()
    for j in range(action_dim):
        actions[j, :, j] += pulse
    predicted = prior.roll_out(obs[:1], actions[None]).next_obs[:, 0]
    deviation = prior.error(predicted, predicted[:, -1:]).mean(dim=(0, 2))
    own = _mean_error(prior, obs[1:], predicted[:, -1])
    return own.cpu().double().numpy(), deviation[:-1].cpu().double().numpy()


def _mean_error(prior: Predictor, observed: Tensor, predicted: Tensor) -> Tensor:
    """Of the observed (W, obs_dim) from those of all members (E, W, obs_dim), mean over members and time."""
    return prior.error(observed.expand_as(predicted), predicted).mean(dim=(0, 1))
