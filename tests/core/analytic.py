"""Small systems whose answers are known in closed form, shared by the core's tests.

The point mass has x' = x + dt * v', v' = 0.95 * v + dt * FORCE * gain * a; the gain is the hidden parameter that changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.statistics import transition_statistics
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.meta.trainer import OuterConfig
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import ICEMConfig
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from adaptive_mbrl.transitions import Transitions

DT = 0.1
FORCE = 10.0

POINT = RobotSpec(
    "point_mass", DT, (Channel("position", "m"), Channel("speed", "m/s", "velocity")), (ActionChannel("force", "N", -1.0, 1.0),)
)
"""One coordinate, pushed."""

MIXED = RobotSpec(
    "mixed",
    0.05,
    (
        Channel("height", "m"),
        Channel("pitch", "rad", "angle"),
        Channel("speed", "m/s", "velocity", "direct"),
        Channel("pitch_rate", "rad/s", "velocity"),
    ),
    (ActionChannel("motor", "N m", -1.0, 3.0), ActionChannel("fin", "rad", -0.5, 0.5)),
)
"""Every kind of channel, and action limits that are not symmetric."""

TO_ORIGIN = Objective(POINT, (Term("quadratic", 1.0, ("position",)), Term("quadratic", 0.05, ("speed",))))
NO_GOAL = torch.zeros(1, 0)
TINY_PLANNER = ICEMConfig(horizon=5, num_samples=16, num_iterations=2, num_elites=4, num_elites_kept=1)
POINT_MODEL = ModelConfig(hidden=(32,), members=2, context_dim=2)
POINT_WINDOW = 6
POINT_RULES = (GradientConfig(steps=1, learning_rate=0.3, second_order=True),)
POINT_OUTER = OuterConfig(query=3, meta_batch_size=32, learning_rate=1e-2, validation_windows=64)


def push(obs: np.ndarray, action: np.ndarray, gain: float | np.ndarray) -> np.ndarray:
    """One step of the point mass: obs (..., 2), action (..., 1)."""
    speed = 0.95 * obs[..., 1] + DT * FORCE * gain * action[..., 0]
    return np.stack([obs[..., 0] + DT * speed, speed], axis=-1).astype(np.float32)


def point_episode(gains: Sequence[float], seed: int) -> Episode:
    """Random pushes, each held for a few steps, while the gain takes the given values, one per step."""
    rng = np.random.default_rng(seed)
    held = np.repeat(rng.uniform(-1.5, 1.5, (len(gains) // 4 + 1, 1)), 4, axis=0)[: len(gains)]
    actions = np.clip(held + rng.normal(0, 0.3, held.shape), -1, 1).astype(np.float32)
    obs = [rng.normal(0, [1.0, 2.0]).astype(np.float32)]
    for action, gain in zip(actions, gains, strict=True):
        obs.append(push(obs[-1], action, gain))
    return Episode(np.stack(obs), actions, np.zeros(len(gains), np.float32), {"gain": float(gains[0])})


def point_episodes(num: int, seed: int, steps: int = 40) -> list[Episode]:
    """Episodes of different gains between 0.2 and 1.5."""
    gains = np.random.default_rng(seed).uniform(0.2, 1.5, num)
    return [point_episode([gain] * steps, seed + 1 + i) for i, gain in enumerate(gains)]


def mixed_transitions(tasks: int, window: int, seed: int = 0) -> Transitions:
    """Plausible numbers for every kind of channel; all valid."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    obs = normal(tasks, window, MIXED.obs_dim)
    return Transitions(
        obs,
        normal(tasks, window, MIXED.action_dim),
        obs + 0.3 * normal(tasks, window, MIXED.obs_dim),
        torch.ones(tasks, window, dtype=torch.bool),
    )


def mixed_model(seed: int = 0, **changes: object) -> DynamicsModel:
    """A small ensemble with statistics that are not the default ones."""
    settings = {"hidden": (7, 5), "members": 2, "activation": "tanh", "context_dim": 3, **changes}
    model = DynamicsModel(MIXED, ModelConfig(**settings), seed)  # type: ignore[arg-type]
    fitted = mixed_transitions(1, 200, seed=99)
    model.normalizer.fit(transition_statistics(MIXED, [(fitted.obs[0], fitted.next_obs[0])]))
    return model


def mixed_adapter(seed: int = 0, model: dict[str, object] | None = None, **rule: object) -> NetworkAdapter:
    """A gradient adapter on `mixed_model`; the prior's modulation is moved away from its neutral start."""
    network = mixed_model(seed, **(model or {}))
    config = GradientConfig(**{"learning_rate": 0.1, "second_order": True, **rule})  # type: ignore[arg-type]
    gradient = config.make(network, window=1)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in (network.net.action_gain, network.net.context):
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
        if gradient.config.step_sizes != "fixed":
            # different for every tensor or parameter, so that mixing them up shows
            for parameter in gradient.log_step_sizes.values():
                parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return NetworkAdapter(network, [gradient])


def query_windows() -> Windows:
    """Two windows of two query steps each, far from the clamped range of the data, in float64."""
    recent = mixed_transitions(2, 4, seed=3)
    ahead = mixed_transitions(2, 3, seed=4)
    shrunk = Transitions(*(0.5 * x.double() for x in recent[:3]), recent.valid)
    return Windows(shrunk, 0.5 * ahead.obs.double(), ahead.action[:, :2].double(), torch.arange(2))


def finite_difference(loss: Callable[[], Tensor], parameter: Tensor, index: int, step: float = 1e-6) -> float:
    """Central difference of a loss in one entry of a parameter, which is as it was afterwards."""
    flat = parameter.data.view(-1)
    value = flat[index].item()
    sides = []
    for sign in (1, -1):
        flat[index] = value + sign * step
        sides.append(loss().item())
    flat[index] = value
    return (sides[0] - sides[1]) / (2 * step)
