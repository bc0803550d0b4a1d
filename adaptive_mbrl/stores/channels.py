"""Figures of each channel of a store, gathered episode by episode, and what looks wrong about them.

A channel is suspicious if it holds values that are not finite, if it never changes, if it stands still while others move or
commands change (a driver that hangs repeats its last values), if an action is at its limit most of the time, if the change of a
position is not what its velocity says (then one of the two has another unit, another sign, or is of another joint), or if stamps
jump or stand still.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.statistics import Moments
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from adaptive_mbrl.stores.frozen import FROZEN_STEPS, frozen_steps
from adaptive_mbrl.stores.stamps import StampFigures, advances
from adaptive_mbrl.stores.warned import Warned

MANY_FROZEN = 0.01
"""Share of steps with a frozen value that is worth a warning."""
MANY_SATURATED = 0.5
"""Share of steps with an action at its limit that is worth a warning."""
WORST_CORRELATION = 0.5
"""A velocity is expected to correlate at least as much with the change of its position."""
WORST_SLOPE = 0.3
"""How far the change of a position may be from what its velocity says, as a share of it."""
_RATES = {"rad": "rad/s", "m": "m/s", "1": "1/s"}
_VELOCITY = re.compile(r"(.+)_(velocity|rate|speed)")
_EULER = ("roll", "pitch", "yaw")
"""Angles whose rates are often those of the body, which they do not change with."""
_PIECE = 1 << 17
"""Steps that figures are taken of at once."""


@dataclass(frozen=True)
class Pair:
    """A position and the velocity that belongs to it, by their columns."""

    position: int
    velocity: int


def velocity_pairs(spec: RobotSpec) -> list[Pair]:
    """Channels that are position and velocity of one thing, by their names and units: `hip_angle` and `hip_velocity`."""
    found = []
    for column, channel in enumerate(spec.obs):
        match = _VELOCITY.fullmatch(channel.name)
        if match is None or channel.kind != "velocity" or match[1] in _EULER:
            continue
        names = {f"{match[1]}_{what}" for what in ("angle", "position")}
        positions = [i for i, c in enumerate(spec.obs) if c.name in names and _RATES.get(c.unit) == channel.unit]
        if len(positions) == 1:
            found.append(Pair(positions[0], column))
    return found


class ChannelFigures:
    """What is known of the channels of all episodes so far.

    Args:
        spec: the robot.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self.spec, self.steps = spec, 0
        self.obs: Moments | None = None
        self.action: Moments | None = None
        self._pairs = velocity_pairs(spec)
        self._not_finite = np.zeros(spec.obs_dim + spec.action_dim, np.int64)
        self._frozen = np.zeros(spec.obs_dim, np.int64)
        self._standing = 0
        self.stamps = StampFigures(spec.dt)
        self._saturated = np.zeros(spec.action_dim, np.int64)
        self._squares = np.zeros((len(self._pairs), 3))  # velocity², velocity * change, change²
        self._low = np.array([c.low for c in spec.action], np.float32)
        self._high = np.array([c.high for c in spec.action], np.float32)

    def add(self, episode: Episode) -> None:
        """Count an episode, without its history."""
        self.stamps.add(episode)
        new = advances(episode)
        for begin in range(episode.history, len(episode), _PIECE):
            end = min(begin + _PIECE, len(episode))
            self._add(episode.obs[begin : end + 1], episode.action[begin:end], None if new is None else new[begin:end])

    def _add(self, obs: NDArray[np.float32], action: NDArray[np.float32], new: NDArray[np.bool_] | None) -> None:
        self.steps += len(action)
        bad = np.concatenate([~np.isfinite(obs[1:]), ~np.isfinite(action)], axis=1)
        self._not_finite += bad.sum(0)
        frozen = frozen_steps(obs, action, new)
        self._frozen += frozen.channels
        self._standing += frozen.altogether
        if bad.any() or not np.isfinite(obs[0]).all():
            # the other figures are those of the rest
            whole = np.isfinite(obs[:-1]).all(1) & ~bad.any(1)
            self._add_figures(obs[:-1][whole], action[whole])
            return
        self._add_figures(obs, action)
        for row, pair in enumerate(self._pairs):
            velocity, change = self._rates(obs, pair)
            self._squares[row] += (velocity @ velocity, velocity @ change, change @ change)

    def _add_figures(self, obs: NDArray[np.float32], action: NDArray[np.float32]) -> None:
        if len(action) == 0:
            return
        self.obs = _merged(self.obs, obs)
        self.action = _merged(self.action, action)
        margin = 1e-3 * (self._high - self._low)
        self._saturated += ((action <= self._low + margin) | (action >= self._high - margin)).sum(0)

    def merge(self, other: ChannelFigures) -> None:
        """Count what another one has counted, too."""
        self.stamps.merge(other.stamps)
        for name in ("steps", "_not_finite", "_frozen", "_standing", "_saturated", "_squares"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.obs is not None and other.action is not None:
            self.obs = other.obs if self.obs is None else self.obs.merged(other.obs)
            self.action = other.action if self.action is None else self.action.merged(other.action)

    def _rates(self, obs: NDArray[np.float32], pair: Pair) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mean velocity over each step, (T,), and the rate at which the position changed, (T,)."""
        change = np.diff(obs[:, pair.position].astype(np.float64))
        if self.spec.obs[pair.position].kind == "angle":
            change = np.remainder(change + np.pi, 2 * np.pi) - np.pi
        velocity = obs[:, pair.velocity].astype(np.float64)
        return (velocity[1:] + velocity[:-1]) / 2, change / self.spec.dt

    @property
    def frozen(self) -> NDArray[np.float64]:
        """Share of the steps in which each observation channel is frozen, (obs_dim,)."""
        return self._frozen / max(1, self.steps)

    @property
    def saturated(self) -> NDArray[np.float64]:
        """Share of the steps in which each action is at a limit, (action_dim,)."""
        return self._saturated / max(1, self.steps)

    def warnings(self) -> Iterator[Warned]:
        """Each thing that looks wrong."""
        for name, num in zip((*self.spec.obs_names, *self.spec.action_names), self._not_finite, strict=True):
            if num:
                said = f"'{name}' is not finite in {num} steps, which the other figures leave out; a training refuses them"
                yield Warned(f"finite {name}", said)
        if self.obs is None or self.action is None:
            return
        yield from _constant("observation", self.spec.obs, self.obs)
        yield from _constant("action", self.spec.action, self.action)
        constant = (self.obs.low == self.obs.high).numpy()
        for column, channel in enumerate(self.spec.obs):
            if self.frozen[column] > MANY_FROZEN and not constant[column]:
                share = f"{100 * self.frozen[column]:.0f} % of the steps"
                which = f"{share}, {FROZEN_STEPS} or more in a row"
                said = f"observation '{channel.name}' stands still in {which}, while others or commands change"
                yield Warned(f"frozen {channel.name}", said)
        if self._standing > MANY_FROZEN * self.steps:
            share = f"{100 * self._standing / self.steps:.0f} % of the steps, {FROZEN_STEPS} or more in a row"
            said = f"nothing changes at all in {share}, while stamps advance; does the robot stand still, or its driver hang?"
            yield Warned("standing", said)
        for column, action in enumerate(self.spec.action):
            if self.saturated[column] > MANY_SATURATED:
                share = f"{100 * self.saturated[column]:.0f} % of the steps"
                yield Warned(f"saturated {action.name}", f"action '{action.name}' is at its limit in {share}")
        yield from self._disagreements()
        yield from self.stamps.warnings()

    def _disagreements(self) -> Iterator[Warned]:
        for pair, (vv, vc, cc) in zip(self._pairs, self._squares, strict=True):
            if vv == 0 or cc == 0:
                continue
            slope, correlation = vc / vv, vc / np.sqrt(vv * cc)
            if correlation < WORST_CORRELATION or abs(slope - 1) > WORST_SLOPE:
                position, velocity = self.spec.obs[pair.position].name, self.spec.obs[pair.velocity].name
                yield Warned(
                    f"pair {position}",
                    f"'{position}' changes {slope:.2f} times as fast as '{velocity}' says (correlation {correlation:.2f}); "
                    "is one of them in another unit, of another sign, or of another joint, or is the time wrong?",
                )


def _constant(what: str, channels: Sequence[Channel | ActionChannel], moments: Moments) -> Iterator[Warned]:
    for channel, low, high in zip(channels, moments.low.tolist(), moments.high.tolist(), strict=True):
        if low == high:
            yield Warned(
                f"constant {channel.name}", f"{what} '{channel.name}' is always {low:g} {channel.unit}; is it connected?"
            )


def _merged(total: Moments | None, rows: NDArray[np.float32]) -> Moments:
    part = Moments.of(torch.tensor(rows))
    return part if total is None else total.merged(part)
