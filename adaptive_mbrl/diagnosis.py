"""What a belief says in physical terms: named parameters of the robot, each with an uncertainty.

A belief b is made to predict with, and its numbers mean nothing to people. A small network reads a Gaussian for each parameter
y_i out of it,

    p(y_i | b, k) = N(m_i(b, k), (c_i s_i(b, k))^2)

where k is the number of transitions that the belief is from: some rules believe much the same after one transition as after many,
but one transition says less. The network is fitted by the likelihood (Nix and Weigend 1994, "Estimating the mean and variance of
the target probability distribution"), and c_i, one factor for each parameter, makes s_i right on windows that the network was not
fitted to (Kuleshov et al. 2018, arXiv 1807.00263, here with a scaling only). `meta.diagnosis_fit` does both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation.belief import Belief, tensors_of
from adaptive_mbrl.adaptation.reversal import ReversalBelief
from adaptive_mbrl.config import bounded

GAIN = "actuator_gain"
"""What the name of a parameter begins with that is the gain of an actuator."""
MAX_FEATURE = 10.0
"""Standardised numbers are clamped at this, so that a belief unlike all others cannot claim anything."""
MIN_LOG_STD, MAX_LOG_STD = -5.0, 1.0
"""Of what is read out, in stds of the label."""


@dataclass(frozen=True)
class DiagnosisConfig:
    """A diagnosis and how it is fitted.

    Attributes:
        names: the parameters, for example `actuator_gain rotor_1`.
        hidden: width of each hidden layer.
        features: numbers that a larger belief is reduced to, along the main directions in which beliefs differ.
        updates: gradient steps.
        batch_size: windows per gradient step.
        learning_rate: Adam's rate.
        weight_decay: of AdamW; there are few situations, though many windows.
    """

    names: tuple[str, ...]
    hidden: tuple[int, ...] = bounded((256, 256), low=1)
    features: int = bounded(128, low=1, high=4096)
    updates: int = bounded(3000, low=1)
    batch_size: int = bounded(512, low=1)
    learning_rate: float = bounded(1e-3, low=0.0)
    weight_decay: float = bounded(1e-2, low=0.0)


class Estimate(NamedTuple):
    """What is believed of L parameters of B robots.

    Attributes:
        mean: in each parameter's own unit, (B, L).
        std: its standard deviation, (B, L).
    """

    mean: Tensor
    std: Tensor


class Diagnosis(nn.Module):
    """Reads named parameters out of beliefs of any rule.

    Args:
        config: names and shape.
        belief_size: the number of numbers in a belief about one robot, see `size_of`.
        seed: fixes the initial weights.
    """

    belief_mean: Tensor
    belief_scale: Tensor
    projection: Tensor | None
    label_mean: Tensor
    label_std: Tensor
    calibration: Tensor

    def __init__(self, config: DiagnosisConfig, belief_size: int, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        number, is_reduced = len(config.names), belief_size > config.features
        self.register_buffer("belief_mean", torch.zeros(belief_size))
        self.register_buffer("belief_scale", torch.ones(belief_size))
        self.register_buffer("projection", torch.zeros(belief_size, config.features) if is_reduced else None)
        self.register_buffer("label_mean", torch.zeros(number))
        self.register_buffer("label_std", torch.ones(number))
        self.register_buffer("calibration", torch.ones(number))
        sizes = (min(belief_size, config.features) + 1, *config.hidden)
        layers: list[nn.Module] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for i in range(len(config.hidden)):
                layers += [nn.Linear(sizes[i], sizes[i + 1]), nn.SiLU()]
            self.net = nn.Sequential(*layers, nn.Linear(sizes[-1], 2 * number))

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, in the order of the estimates."""
        return self.config.names

    def forward(self, belief: Belief, known: Tensor) -> Estimate:
        """The parameters of B robots.

        Args:
            belief: about B robots.
            known: the number of transitions that each belief is from, (B,).
        """
        mean, log_std = self.standardised(self.features(belief, known))
        std = self.label_std * self.calibration * log_std.exp()
        return Estimate(self.label_mean + self.label_std * mean, std)

    def features(self, belief: Belief, known: Tensor) -> Tensor:
        """What the network sees, (B, F + 1); arguments as in `forward`."""
        flat = self.belief_scale * (flattened(belief) - self.belief_mean)
        if self.projection is not None:
            flat = flat.clamp(-MAX_FEATURE, MAX_FEATURE) @ self.projection
        return torch.cat([flat.clamp(-MAX_FEATURE, MAX_FEATURE), known[:, None].to(flat.dtype).log1p()], 1)

    def standardised(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log std before calibration in stds of the labels, each (B, L)."""
        mean, log_std = self.net(features).chunk(2, dim=1)
        # a smooth limit has a gradient everywhere
        middle, half = 0.5 * (MAX_LOG_STD + MIN_LOG_STD), 0.5 * (MAX_LOG_STD - MIN_LOG_STD)
        return mean, middle + half * torch.tanh((log_std - middle) / half)

    @torch.no_grad()
    def fit_scale(self, flat: Tensor, labels: Tensor) -> None:
        """Take units and main directions from examples.

        Args:
            flat: beliefs, (W, belief_size), from `flattened`.
            labels: (V, L).
        """
        std = flat.std(0)
        self.belief_mean.copy_(flat.mean(0))
        # what is the same in all beliefs says nothing, and its rounding errors must not be blown up
        self.belief_scale.copy_(torch.where(std > 1e-6 * (1e-6 + self.belief_mean.abs()), 1 / std, 0.0))
        self.label_mean.copy_(labels.mean(0))
        self.label_std.copy_(labels.std(0).clamp_min(1e-6))
        if self.projection is not None:
            scaled = (self.belief_scale * (flat - self.belief_mean)).clamp(-MAX_FEATURE, MAX_FEATURE)
            _, strengths, directions = torch.linalg.svd(scaled, full_matrices=False)
            number = min(self.projection.shape[1], len(strengths))
            spread = (strengths[:number] / len(flat) ** 0.5).clamp_min(1e-6 * float(strengths[0]) + 1e-12)
            self.projection.zero_()
            self.projection[:, :number] = directions[:number].T / spread


class ReversalDiagnosis(nn.Module):
    """Reads the same parameters where motors may be reversed: a reversed motor has the gain of a right one, with the other sign.

    A parameter `actuator_gain` without a name is the gain of all motors. Where only some of them are reversed, it is given the
    mean over the motors, and their spread adds to its uncertainty.

    Args:
        inner: reads beliefs about robots whose motors are right.
        actions: names of the actions. A gain is known as such where its parameter is `actuator_gain` with one of these names, or
            without a name.
    """

    def __init__(self, inner: Diagnosis, actions: Sequence[str]) -> None:
        super().__init__()
        self.inner = inner
        motors = {f"{GAIN} {name}": [i] for i, name in enumerate(actions)} | {GAIN: list(range(len(actions)))}
        self._gains = [(i, motors[name]) for i, name in enumerate(inner.names) if name in motors]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters, in the order of the estimates."""
        return self.inner.names

    def forward(self, belief: ReversalBelief, known: Tensor) -> Estimate:
        """As `Diagnosis.forward`."""
        mean, std = self.inner(belief.inner, known)
        sign = torch.ones_like(mean)
        for parameter, motors in self._gains:
            sign[:, parameter] = belief.signs.sign[:, motors].mean(1)
        spread = mean.square() * (1 - sign.square())
        return Estimate(sign * mean, (std.square() + spread).sqrt())


def flattened(belief: Belief) -> Tensor:
    """All numbers of beliefs about B robots, (B, belief_size)."""
    return torch.cat([tensor.flatten(1).float() for tensor in tensors_of(belief)], 1)


def size_of(belief: Belief) -> int:
    """The number of numbers in a belief about one robot; 0 for that of a rule that does not adapt."""
    return sum(tensor[0].numel() for tensor in tensors_of(belief))
