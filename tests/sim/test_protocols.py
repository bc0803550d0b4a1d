"""The protocols of the literature: the splits hold the published numbers, and their trainings are fair and have no privileges."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import pytest

from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.data.episodes import EpisodeStore
from adaptive_mbrl.planning import RandomShootingConfig
from adaptive_mbrl.training.config import TrainConfig
from sim.paths import config_root
from sim.robot.robot import load_robot
from sim.scenarios.draws import CornerDraw, evaluate
from sim.scenarios.loading import load_scenario
from sim.training.config import load_train_config
from sim.training.train import train

NAMES = sorted(p.stem for p in (config_root() / "train" / "protocols").glob("*.yaml"))
PROTOCOLS = [n for n in NAMES if not n.endswith(("_grbal", "_multitask"))]
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "protocols.md").read_text(encoding="utf-8")


def drawn(split: str, part: str) -> list[dict]:
    """The different changes that a part can draw, all of them from the first step on."""
    distribution = load_scenario(f"{split}:{part}")
    assert distribution.part.change is None
    changes = []
    for entry in distribution.part.initial:
        for index in itertools.count():
            draw = CornerDraw(index, upper=False)
            change = evaluate(entry, draw, "initial")
            if draw.remaining > 0:
                break
            changes.append(change)
    return sorted(changes, key=str)


def scales(split: str, part: str) -> list[tuple[float, float]]:
    """Pairs of a scale of all masses and a scale of all dampings."""
    return sorted((c.get("body_mass", 1.0), c.get("damping", 1.0)) for c in drawn(split, part))


def boxes(*pairs: tuple[tuple[float, ...], tuple[float, ...]]) -> list[tuple[float, float]]:
    return sorted((first, second) for firsts, seconds in pairs for first in firsts for second in seconds)


def grid(*sets: tuple[float, ...]) -> list[tuple[float, float]]:
    return sorted((m, d) for values in sets for m in values for d in values)


CADM = "half_cheetah/cadm_mass_damping_reset"
HUMANOID = "slim_humanoid/cadm_mass_damping"


@pytest.mark.parametrize(
    ("split", "part", "sets"),
    [
        (CADM, "train", [(0.75, 0.85, 1.0, 1.15, 1.25)]),
        (CADM, "test", [(0.4, 0.5), (1.5, 1.6)]),
        (f"{CADM}_extreme", "test", [(0.2, 0.3), (1.7, 1.8)]),
        (HUMANOID, "train", [(0.8, 0.9, 1.0, 1.15, 1.25)]),
        (HUMANOID, "test", [(0.6, 0.7), (1.5, 1.6)]),
        (f"{HUMANOID}_extreme", "test", [(0.4, 0.5), (1.7, 1.8)]),
    ],
)
def test_masses_and_dampings_of_cadm(split: str, part: str, sets: list[tuple[float, ...]]):
    assert scales(split, part) == grid(*sets)


@pytest.mark.parametrize(
    ("split", "train_set", "test_set"),
    [
        ("half_cheetah/tmcl_mass", [0.25, 0.5, 1.5, 2.5], [0.1, 0.15, 2.75, 3.0]),
        ("slim_humanoid/tmcl_mass", [0.8, 0.9, 1.0, 1.15, 1.25], [0.6, 0.7, 1.5, 1.6]),
        ("hopper/tmcl_mass", [0.5, 0.75, 1.0, 1.25, 1.5], [0.25, 0.375, 1.75, 2.0]),
    ],
)
def test_masses_of_tmcl(split: str, train_set: list[float], test_set: list[float]):
    for part, expected in (("train", train_set), ("test", test_set)):
        assert scales(split, part) == [(m, 1.0) for m in expected]


def test_motors_that_are_dead():
    split = "half_cheetah/cadm_cripple_reset"
    expected = {"train": ["bthigh", "bshin", "bfoot", "fthigh"], "test": ["fshin", "ffoot"]}
    for part, names in expected.items():
        assert [c["actuator_gain"] for c in drawn(split, part)] == [{n: 0.0} for n in sorted(names)]
    assert drawn(f"{split}_extreme", "test") == [{"actuator_gain": {"ffoot": 0.0, "fshin": 0.0}}]
    legs = {part: [sorted(c["actuator_gain"]) for c in drawn("ant/tmcl_cripple", part)] for part in ("train", "test")}
    assert legs == {"train": [[f"ankle_{i}", f"hip_{i}"] for i in (1, 2, 3)], "test": [["ankle_4", "hip_4"]]}


@pytest.mark.parametrize(
    ("split", "part", "factors"),
    [
        ("ant/cadm_legs", "train", [0.85, 0.9, 0.95, 1.0]),
        ("ant/cadm_legs", "test", [0.4, 0.45, 0.5, 0.55, 0.6]),
        ("ant/cadm_legs_extreme", "test", [0.2, 0.25, 0.3, 0.35, 0.4]),
    ],
)
def test_legs_of_cadms_ant(split: str, part: str, factors: list[float]):
    model = load_robot("ant_cadm").model
    changes = sorted((c["body_mass"] for c in drawn(split, part)), key=lambda masses: masses["ankle_1"])

    assert [masses["ankle_1"] for masses in changes] == factors
    for masses, factor in zip(changes, factors, strict=True):
        # the released code scales the bodies 2 to 7 and divides those from 8 to 13
        by_body = {model.body(i).name or model.joint(model.body_jntadr[i]).name: i for i in range(2, 14)}
        numbers = {by_body[name]: value for name, value in masses.items()}
        assert numbers == {i: factor if i < 8 else 1 / factor for i in range(2, 14)}


def test_masses_and_lengths_of_cadms_pendulum():
    def pairs(split: str, part: str) -> list[tuple[float, float]]:
        return sorted((c["body_mass"]["rod"], c["body_size"]["rod"]) for c in drawn(split, part))

    assert pairs("pendulum/cadm", "train") == grid(tuple(round(0.75 + 0.05 * i, 2) for i in range(11)))
    assert pairs("pendulum/cadm", "test") == boxes(((0.5, 0.7), (1.3, 1.5)), ((1.3, 1.5), (0.5, 0.7)))
    assert pairs("pendulum/cadm_extreme", "test") == boxes(((0.2, 0.4), (1.6, 1.8)), ((1.6, 1.8), (0.2, 0.4)))


def test_forces_and_lengths_of_cadms_cartpole():
    robot = load_robot("cartpole_balance")
    force = float(robot.model.actuator_gear[0, 0])
    half_length = float(robot.model.body_ipos[robot.model.body("pole").id, 2])

    def pairs(split: str, part: str) -> list[tuple[float, float]]:
        return sorted(
            (round(force * c["actuator_gain"], 6), round(half_length * c["body_size"]["pole"], 6)) for c in drawn(split, part)
        )

    assert pairs("cartpole_balance/cadm", "train") == boxes((tuple(range(5, 16)), (0.4, 0.45, 0.5, 0.55, 0.6)))
    assert pairs("cartpole_balance/cadm", "test") == boxes(((3.0, 3.5), (0.25, 0.3)), ((16.5, 17.0), (0.7, 0.75)))
    assert pairs("cartpole_balance/cadm_extreme", "test") == boxes(((2.0, 2.5), (0.15, 0.2)), ((17.5, 18.0), (0.8, 0.85)))


@pytest.mark.parametrize("split", ["half_cheetah/cadm_cripple_reset", CADM, "ant/cadm_legs", HUMANOID, "pendulum/cadm"])
def test_an_extreme_split_trains_as_the_moderate_one(split: str):
    moderate, extreme = load_scenario(f"{split}:train"), load_scenario(f"{split}_extreme:train")

    assert (moderate.robot, moderate.steps, moderate.part) == (extreme.robot, extreme.steps, extreme.part)
    assert moderate.steps == (200 if split.startswith("pendulum") else 1000)


# --- trainings ----------------------------------------------------------------------------------------------------------------


def env_steps(config: TrainConfig) -> int:
    data = config.data
    return data.steps * (data.random_episodes + data.iterations * data.episodes_per_iteration)


def test_every_protocol_has_its_three_trainings():
    assert sorted(PROTOCOLS + [f"{n}_{kind}" for n in PROTOCOLS for kind in ("grbal", "multitask")]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_training_has_no_privileges_and_the_published_budget(name: str):
    config = load_train_config(f"protocols/{name}")

    assert not config.shaping
    assert (config.data.oracle_episodes, config.data.branches_per_state, config.data.episodes_from) == (0, 0, None)
    split = load_scenario(config.scenarios)
    assert config.data.steps == split.steps
    assert env_steps(config) == (20 if "cadm" in name else 10) * 10 * split.steps
    assert f"`protocols/{name}`" in PAGE or f"`protocols/{name.removesuffix('_grbal').removesuffix('_multitask')}`" in PAGE


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_three_trainings_of_a_protocol_are_comparable(name: str):
    ours, grbal, multitask = (load_train_config(f"protocols/{name}{end}") for end in ("", "_grbal", "_multitask"))

    assert multitask == dataclasses.replace(ours, adaptation=(NoneConfig(),))
    assert grbal.scenarios == ours.scenarios
    assert dataclasses.replace(grbal.data, action_noise=ours.data.action_noise) == ours.data
    for key in ("updates_initial", "updates_per_iteration", "updates_final"):
        assert getattr(grbal, key) == getattr(ours, key)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_grbal_is_the_published_one(name: str):
    config = load_train_config(f"protocols/{name}_grbal")

    assert (config.model.hidden, config.model.members, config.model.activation) == ((512, 512, 512), 1, "relu")
    assert config.adaptation == (
        GradientConfig(parameters="all", steps=1, learning_rate=1e-3, step_sizes="fixed", second_order=True),
    )
    assert (config.window, config.outer.query, config.outer.query_loss) == (16, 16, "one_step")
    assert isinstance(config.planner, RandomShootingConfig)
    assert (config.planner.num_samples, config.planner.num_iterations, config.planner.horizon) == (500, 1, 10)


def shrunk(config: TrainConfig) -> TrainConfig:
    """The same run with a few steps and updates of a small network."""
    planner = dataclasses.replace(config.planner, horizon=3, num_samples=8)
    if hasattr(planner, "num_elites"):
        planner = dataclasses.replace(planner, num_elites=3)
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, hidden=(8, 8)),
        window=4,
        outer=dataclasses.replace(config.outer, query=3, meta_batch_size=4, validation_windows=4, precision="float32"),
        planner=planner,
        data=dataclasses.replace(config.data, steps=12, random_episodes=3, iterations=1, episodes_per_iteration=2),
        updates_initial=2,
        updates_per_iteration=2,
        updates_final=2,
    )


# all protocols take the same code
QUICK = PROTOCOLS[0]


@pytest.mark.parametrize("name", [QUICK, *(pytest.param(n, marks=pytest.mark.slow) for n in NAMES if n != QUICK)])
def test_a_training_runs(name: str, tmp_path: Path):
    config = shrunk(load_train_config(f"protocols/{name}"))

    checkpoint = load_checkpoint(train(config, tmp_path / "run"))

    robot = load_robot(load_scenario(config.scenarios).robot)
    about = checkpoint.description
    assert about.spec == robot.spec
    assert about.terms == robot.objective.terms
    assert (about.provenance["branch_steps"], about.provenance["oracle_steps"]) == (0, 0)
    episodes = EpisodeStore.open(tmp_path / "run" / "episodes").episodes
    assert about.provenance["env_steps"] == sum(len(e) for e in episodes) <= 5 * 12
    assert {e.tags["source"] for e in episodes} == {"random", "policy"}
