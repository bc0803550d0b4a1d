"""Splits: what training draws, what testing goes through, and that the two stay apart."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from adaptive_mbrl.errors import ConfigError
from sim.paths import config_root, known_configs
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.distribution import PARTS, ScenarioDistribution
from sim.scenarios.loading import load_scenario
from sim.scenarios.parameters import parameter_values, varying_parameters
from sim.scenarios.scenario import Scenario
from sim.simulation.batch import BatchSimulation
from sim.simulation.course import apply_changes, start

Array = NDArray[np.float64]
SPLIT = """
robot: half_cheetah
steps: 100
seed: 4
train:
  initial:
    - {weight: 3}
    - {weight: 1, body_mass: {uniform: [0.8, 1.2]}}
  change:
    probability: 0.5
    at: {fraction: [0.2, 0.8]}
    alternatives:
      - {actuator_gain: {one_of: [bthigh, bshin], value: {choice: [0.0, 0.5]}}}
      - {damping: {each: [bfoot, ffoot], value: {uniform: [0.5, 1.5]}}}
test:
  change:
    at: 50
    alternatives:
      - {actuator_gain: {fshin: 0.0}}
      - {actuator_gain: {ffoot: 0.0}}
"""


def load(text: str, part: str, folder: Path) -> ScenarioDistribution:
    path = folder / "split.yaml"
    path.write_text(text)
    distribution = load_scenario(f"{path}:{part}")
    assert isinstance(distribution, ScenarioDistribution)
    return distribution


@functools.cache
def splits() -> list[str]:
    return [
        n for n in known_configs("scenarios") if "test" in yaml.safe_load((config_root() / f"scenarios/{n}.yaml").read_text())
    ]


def test_training_draws_what_the_file_says(tmp_path: Path) -> None:
    distribution = load(SPLIT, "train", tmp_path)
    rng = np.random.default_rng(0)
    scenarios = [distribution.sample(rng, steps=200) for _ in range(400)]
    late = [c for s in scenarios for c in s.changes if c.at > 0]
    assert {s.steps for s in scenarios} == {200}
    assert len({s.seed for s in scenarios}) > 390
    assert 160 < len(late) < 240
    assert min(c.at for c in late) >= 40
    assert max(c.at for c in late) <= 160
    heavy = [s.change_in_force(0).body_mass for s in scenarios if s.change_in_force(0) != Change()]
    assert 70 < len(heavy) < 130
    assert 0.8 <= min(heavy) < 0.85 < 1.15 < max(heavy) <= 1.2
    gains = Counter(tuple(c.change.actuator_gain.items()) for c in late if isinstance(c.change.actuator_gain, Mapping))
    assert set(gains) == {((name, gain),) for name in ("bthigh", "bshin") for gain in (0.0, 0.5)}
    dampings = [c.change.damping for c in late if isinstance(c.change.damping, Mapping)]
    assert all(set(d) == {"bfoot", "ffoot"} and d["bfoot"] != d["ffoot"] for d in dampings)


def test_the_same_generator_gives_the_same_scenarios(tmp_path: Path) -> None:
    distribution = load(SPLIT, "train", tmp_path)
    first, second = (
        [distribution.sample(rng) for _ in range(20)] for rng in (np.random.default_rng(1), np.random.default_rng(1))
    )
    assert first == second


def test_testing_goes_through_the_alternatives_evenly(tmp_path: Path) -> None:
    distribution = load(SPLIT, "test", tmp_path)
    episodes = distribution.episodes(10, seed=20)
    assert episodes == distribution.episodes(12, seed=20)[:10]
    assert [e.seed for e in episodes] == list(range(20, 30))
    assert {e.last_change for e in episodes} == {50}
    assert Counter(next(iter(e.changes[0].change.actuator_gain)) for e in episodes) == {"fshin": 5, "ffoot": 5}
    assert distribution.episodes(1)[0].seed == 4


def test_two_choices_do_not_run_in_step(tmp_path: Path) -> None:
    text = SPLIT.replace("{actuator_gain: {fshin: 0.0}}", "{body_mass: {choice: [0.5, 2.0]}, damping: {choice: [0.5, 2.0]}}")
    episodes = load(text.replace("      - {actuator_gain: {ffoot: 0.0}}\n", ""), "test", tmp_path).episodes(40)
    pairs = Counter((e.changes[0].change.body_mass, e.changes[0].change.damping) for e in episodes)
    assert len(pairs) == 4
    assert sum(n for (mass, _), n in pairs.items() if mass == 0.5) == 20


def test_one_draw_for_several_names_and_its_inverse(tmp_path: Path) -> None:
    text = SPLIT.replace("{fshin: 0.0}", "{same: [bthigh, bshin], value: {uniform: [0.5, 0.9]}, inverse: [fthigh]}")
    for episode in load(text, "test", tmp_path).episodes(6):
        gain = episode.changes[0].change.actuator_gain
        if "ffoot" not in gain:
            assert gain["bthigh"] == gain["bshin"] == 1 / gain["fthigh"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("at: 50", "at: 100", r"key 'test.change.at': 100 is out of range; allowed: 0 to 99"),
        ("{fraction: [0.2, 0.8]}", "{fraction: [0.2, 1.8]}", r"at.fraction: \[0.2, 1.8\] is out of range"),
        ("{fraction: [0.2, 0.8]}", "{uniform: [10, 100]}", r"key 'train.change.at': 100 is out of range; allowed: 0 to 99"),
        ("{fraction: [0.2, 0.8]}", "{sometime: [10, 100]}", "expected a step, .*got sometime"),
        ("probability: 0.5", "probability: 1.5", "'train.change.probability': 1.5 is out of range; allowed: 0 to 1"),
        ("probability: 0.5", "chance: 0.5", "unknown key 'train.change.chance'.*allowed keys: at, alternatives, probability"),
        ("{weight: 3}", "{weight: 0}", r"key 'train.initial\[0\].weight': got 0; allowed: a positive, finite number"),
        ("{weight: 3}", "{weight: .inf}", r"'train.initial\[0\].weight': got inf; allowed: a positive, finite number"),
        ("{weight: 3}", "{weight: .nan}", r"'train.initial\[0\].weight': got nan; allowed: a positive, finite number"),
        ("{weight: 3}", "{weight: true}", r"'train.initial\[0\].weight': got True; allowed: a positive, finite number"),
        ("seed: 4", "seed: 2147483648", "'seed': 2147483648 is out of range; allowed: 0 to 2147483647"),
        ("{uniform: [0.8, 1.2]}", "{uniform: [1.2, 0.8]}", r"'train.initial\[1\].body_mass.uniform': expected \[low, high\]"),
        ("{uniform: [0.8, 1.2]}", "{uniform: [0.8, 999]}", "body_mass: 999.0 is out of range; allowed: 0.01 to 100"),
        ("{uniform: [0.8, 1.2]}", "{uniform: [0.8, 1.2], mean: 1}", "expected the keys uniform, got uniform, mean"),
        ("[bthigh, bshin]", "[bthigh, shin]", r"'train.change.alternatives\[0\].actuator_gain': unknown actuator 'shin'"),
        ("[bthigh, bshin]", "[]", r"actuator_gain.one_of': expected a list, got \[\]"),
        ("{choice: [0.0, 0.5]}", "{choice: [0.0, -99]}", "actuator_gain.bthigh: -99.0 is out of range"),
        (
            "body_mass: {uniform",
            "bodymass: {uniform",
            r"unknown key 'train.initial\[1\].bodymass' .did you mean 'body_mass'.*allowed keys: at, actuator_gain",
        ),
    ],
)
def test_mistakes_are_found_when_loading(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SPLIT
    with pytest.raises(ConfigError, match=message) as error:
        load(SPLIT.replace(old, new, 1), "test" if old == "at: 50" else "train", tmp_path)
    assert str(error.value).startswith(str(tmp_path / "split.yaml"))
    assert "\n" not in str(error.value)


def test_an_episode_too_short_for_its_change_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="50 is out of range; allowed: 0 to 29"):
        load(SPLIT, "test", tmp_path).sample(np.random.default_rng(0), steps=30)


@pytest.mark.parametrize("name", known_configs("scenarios"))
def test_every_shipped_scenario_loads_and_its_changes_reach_the_robot(name: str) -> None:
    for part in (":train", ":test") if name in splits() else ("",):
        loaded = load_scenario(name + part)
        assert loaded.name == name + part
        scenarios = loaded.episodes(6)
        robot = load_robot(loaded.robot)
        simulation = BatchSimulation(robot, len(scenarios))
        start(simulation, scenarios)
        for at in sorted({c.at for s in scenarios for c in s.changes}):
            simulation.step_index = at
            apply_changes(simulation, scenarios)
            assert simulation.changes == tuple(s.change_in_force(at) for s in scenarios)
        obs = simulation.step(np.zeros((len(scenarios), robot.spec.action_dim)))
        assert np.isfinite(obs).all()


@pytest.mark.parametrize("name", splits())
def test_no_test_dynamics_are_ever_drawn_in_training(name: str) -> None:
    train, test = load_scenario(f"{name}:train"), load_scenario(f"{name}:test")
    rng = np.random.default_rng(0)
    seen = [c.change.to_changes() for _ in range(200) for c in train.sample(rng).changes]
    lows, highs = _ranges(seen)
    for episode in test.episodes(20):
        assert episode.changes, "a test episode without a change"
        for change in episode.changes:
            values = _flat(change.change.to_changes())
            assert any(k not in lows or not lows[k] <= v <= highs[k] for k, v in values.items()), values


def test_crippled_joints_are_those_of_the_papers() -> None:
    def joints(part: str) -> set[str]:
        loaded = load_scenario(f"half_cheetah/{part}")
        return {name for s in _many(loaded) for c in s.changes for name in c.change.to_changes().get("actuator_gain", {})}

    motors = ["bthigh", "bshin", "bfoot", "fthigh", "fshin", "ffoot"]
    assert joints("cadm_cripple:train") == joints("mac_cripple:train") == set(motors[:4])
    assert joints("cadm_cripple:test") == joints("mac_cripple:test") == set(motors[4:])
    assert joints("nagabandi_cripple:train") == set(motors[1:])
    assert joints("nagabandi_cripple:test") == set(motors[:1])


def _many(distribution: ScenarioDistribution) -> list[Scenario]:
    rng = np.random.default_rng(0)
    return [distribution.sample(rng) for _ in range(100)]


def _flat(values: Any, key: str = "") -> dict[str, float]:
    if isinstance(values, Mapping):
        return {k: v for name, item in values.items() for k, v in _flat(item, f"{key}.{name}").items()}
    if isinstance(values, list):
        return {k: v for i, item in enumerate(values) for k, v in _flat(item, f"{key}[{i}]").items()}
    return {key: float(values)}


def _ranges(seen: list[dict[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    lows: dict[str, float] = {}
    highs: dict[str, float] = {}
    for values in seen:
        for key, number in _flat(values).items():
            lows[key] = min(number, lows.get(key, number))
            highs[key] = max(number, highs.get(key, number))
    return lows, highs


def test_an_episode_may_change_several_times(tmp_path: Path) -> None:
    several = SPLIT.replace("probability: 0.5", "probability: 1.0\n    times: {uniform: [2, 4]}")
    distribution = load(several, "train", tmp_path)
    rng = np.random.default_rng(0)

    counts = Counter(sum(c.at > 0 for c in distribution.sample(rng).changes) for _ in range(300))

    # two changes may fall on the same step, or draw the same value
    assert set(counts) == {1, 2, 3, 4}
    assert counts[1] < 40
    assert all(counts[n] > 60 for n in (2, 3, 4))
    steps = [c.at for c in distribution.sample(rng).changes]
    assert steps == sorted(set(steps))


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ("0", r"times: 0 to 0 is out of range; allowed: 1 <= fewest <= most <= 1000"),
        ("{uniform: [3, 2]}", r"times: 3 to 2 is out of range"),
        ("{between: [1, 2]}", r"times: expected a number or \{uniform: \[fewest, most\]\}; got between"),
    ],
)
def test_a_wrong_number_of_changes_is_an_error(times: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"split.yaml: .*{message}"):
        load(SPLIT.replace("probability: 0.5", f"probability: 0.5\n    times: {times}"), "train", tmp_path)


@pytest.mark.parametrize("robot", ["ant", "arm", "cartpole", "half_cheetah", "quadrotor"])
def test_anything_keeps_its_kinds_and_its_tests_out_of_training(robot: str) -> None:
    def drawn(part: str) -> list[Change]:
        distribution = load_scenario(f"{robot}/anything:{part}")
        assert isinstance(distribution, ScenarioDistribution)
        rng = np.random.default_rng(0)
        return [c.change for _ in range(100) for c in distribution.sample(rng).changes]

    trained = {key for change in drawn("train") for key in change.to_changes()}
    assert not trained & {key for change in drawn("test_kinds") for key in change.to_changes()}
    assert {key for change in drawn("test") for key in change.to_changes()} <= trained
    assert not {str(change) for change in drawn("test")} & {str(change) for change in drawn("validation")}


@pytest.mark.parametrize("name", splits())
def test_no_part_of_a_split_reaches_into_another_one(name: str) -> None:
    """Where everything else overlaps, some parameter is beyond what the other part draws, or at the very end of its range."""
    texts = yaml.safe_load((config_root() / f"scenarios/{name}.yaml").read_text())
    parts = {part: load_scenario(f"{name}:{part}") for part in PARTS if part in texts}
    assert {"train", "validation", "test"} <= set(parts)
    corners = {part: list(drawn.corners()) for part, drawn in parts.items() if isinstance(drawn, ScenarioDistribution)}
    names = varying_parameters(change for changes in corners.values() for change in changes)
    boxes = {part: _boxes(changes, names) for part, changes in corners.items()}
    assert all(len(box) for part, box in boxes.items() if part != "train")

    for one, other in itertools.combinations(boxes, 2):
        shared = _overlap(boxes[one], boxes[other])
        assert not shared.any(), (one, other, names, boxes[one][shared.any(1)], boxes[other][shared.any(0)])


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ([1.0, 2.0], [1.5, 3.0], True),
        ([1.0, 2.0], [2.0, 3.0], False),
        ([1.0, 2.0], [1.5, 1.5], True),
        ([1.0, 2.0], [2.0, 2.0], False),
        ([2.0, 2.0], [2.0, 2.0], True),
        ([2.0, 2.0], [2.5, 2.5], False),
    ],
)
def test_where_ranges_overlap(one: list[float], other: list[float], overlap: bool) -> None:
    boxes = (np.array([x])[..., None] for x in (one, other))
    assert bool(_overlap(*boxes)) is overlap


def _boxes(corners: Sequence[Change], names: Sequence[str]) -> Array:
    """Lowest and highest parameters of everything that may be drawn but for the nominal robot, (C, 2, L)."""
    values = np.array([parameter_values(change, names) for change in corners]).reshape(-1, 2, len(names))
    values.sort(axis=1)
    return values[(values != parameter_values(Change(), names)).any((1, 2))]


def _overlap(one: Array, other: Array) -> NDArray[np.bool_]:
    """Which boxes share more than the end of a range, (C, D); a single value overlaps with itself and with what surrounds it."""
    low, high = one[:, None, 0], one[:, None, 1]
    other_low, other_high = other[None, :, 0], other[None, :, 1]
    begin, end = np.maximum(low, other_low), np.minimum(high, other_high)
    within = ((low < begin) & (begin < high)) | ((other_low < begin) & (begin < other_high))
    both_single = (low == high) & (other_low == other_high)
    return ((begin < end) | ((begin == end) & (within | both_single))).all(-1)


def test_each_of_several_changes_goes_through_the_alternatives_evenly(tmp_path: Path) -> None:
    """An alternative that chooses more often than the others does not put the later changes out of step."""
    several = "times: 3\n    at: {uniform: [1, 999999]}"  # so many steps that no two changes fall on the same one
    often = "{body_mass: {choice: [{uniform: [0.5, 0.7]}, {uniform: [1.5, 2.0]}]}}"
    text = SPLIT.replace("steps: 100", "steps: 1000000").replace("at: 50", several)
    text = text.replace("{actuator_gain: {fshin: 0.0}}", often).replace("{ffoot: 0.0}", "{ffoot: {uniform: [0.1, 0.9]}}")

    distribution = load(text, "test", tmp_path)

    for seed in (0, 1000, 2000):
        episodes = distribution.episodes(120, seed)
        assert {len(e.changes) for e in episodes} == {3}
        assert Counter("body_mass" in c.change.to_changes() for e in episodes for c in e.changes) == {True: 180, False: 180}
    assert len({tuple(sorted("body_mass" in c.change.to_changes() for c in e.changes)) for e in episodes}) == 4
