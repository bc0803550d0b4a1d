"""The random policy's noise."""

from __future__ import annotations

import numpy as np
import pytest

from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec
from sim.episodes.policies import RandomPolicy
from sim.robot.robot import load_robot
from sim.simulation.batch import BatchSimulation

# the action is 5 * noise, clipped where the noise is beyond 1.25
WIDE = RobotSpec("wide", 0.1, (Channel("x", "m"),), tuple(ActionChannel(f"a{i}", "m", -6.25, 6.25) for i in range(2)))


@pytest.fixture(scope="module")
def simulation() -> BatchSimulation:
    return BatchSimulation(load_robot("cartpole"), 16, num_threads=1)


def noise(policy: RandomPolicy, simulation: BatchSimulation, steps: int) -> np.ndarray:
    """(B, steps, action_dim)."""
    policy.reset(simulation)
    nothing = np.zeros((16, 1), dtype=np.float32)
    return np.stack([policy.act(nothing, nothing, None)[0] for _ in range(steps)], axis=1) / 5


@pytest.mark.parametrize(("beta", "slope"), [(0.0, 0.0), (1.0, -1.0)])
def test_long_episodes_get_noise_of_the_same_kind_everywhere(simulation: BatchSimulation, beta: float, slope: float) -> None:
    drawn = noise(RandomPolicy(WIDE, seed=0, steps=4096, beta=beta), simulation, 4096)

    power = (np.abs(np.fft.rfft(drawn.reshape(16, 8, 512, 2) * np.hanning(512)[:, None], axis=2)) ** 2).mean((0, 1, 3))
    frequency = np.arange(8, 64)
    assert np.polyfit(np.log(frequency), np.log(power[8:64]), 1)[0] == pytest.approx(slope, abs=0.15)
    # every block is new, and every robot and action has its own
    blocks = drawn.reshape(16, 8, 512, 2).transpose(0, 1, 3, 2).reshape(-1, 512)
    assert len(np.unique(blocks, axis=0)) == len(blocks)


def test_noise_fills_the_range_at_every_step(simulation: BatchSimulation) -> None:
    policy = RandomPolicy(WIDE, seed=3, steps=1500)
    drawn = np.concatenate([noise(policy, simulation, 1500) for _ in range(10)])
    # unit variance, clipped at 1.25
    assert drawn.std(axis=(0, 2)) == pytest.approx(np.full(1500, 0.814), abs=0.12)


def test_the_seed_decides(simulation: BatchSimulation) -> None:
    first, again, other = (noise(RandomPolicy(WIDE, seed=s, steps=600), simulation, 600) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(
        noise(RandomPolicy(WIDE, seed=1, steps=100_000), simulation, 520), noise(RandomPolicy(WIDE, 1, 600), simulation, 520)
    )


def test_a_robot_with_its_own_seed_gets_the_noise_it_would_get_alone(simulation: BatchSimulation) -> None:
    seeds = [5, 3, 5, *range(10, 23)]

    drawn = noise(RandomPolicy(WIDE, seeds, steps=600), simulation, 1000)

    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert len(np.unique(drawn.reshape(16, -1), axis=0)) == 15
    alone = BatchSimulation(load_robot("cartpole"), 1, num_threads=1)
    for robot in (1, 15):
        np.testing.assert_array_equal(
            noise(RandomPolicy(WIDE, seeds[robot : robot + 1], steps=600), alone, 1000)[0], drawn[robot]
        )
    with pytest.raises(ValueError, match="seeds for 16 robots, got 1"):
        RandomPolicy(WIDE, seeds, steps=600).reset(alone)
