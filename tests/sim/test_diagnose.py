"""`diagnose`: the physical parameters of simulated episodes, and what a checkpoint's belief says of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from adaptive_mbrl import cli
from adaptive_mbrl.checkpoint import load_checkpoint
from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.episodes import EpisodeStore
from sim.diagnosis.windows import divide, draw_examples, known_stretches
from sim.robot.robot import load_robot
from sim.scenarios.change import Change
from sim.scenarios.parameters import parameter_values, varying_parameters

MakeCheckpoint = Callable[..., Path]
STEPS, WINDOW = 20, 4


def episode(seed: int, *changes: tuple[int, dict[str, Any]], steps: int = STEPS, history: int = 0, **tags: Any) -> Episode:
    """The first observation counts the steps, from 100 times the seed."""
    numbers = 100 * seed + np.arange(steps + 1, dtype=np.float32)
    scenario = {"robot": "cartpole", "steps": STEPS, "seed": seed, "changes": [{"at": at, **change} for at, change in changes]}
    obs = np.stack([numbers, *np.random.default_rng(seed).normal(size=(3, steps + 1)).astype(np.float32)], axis=1)
    action = np.random.default_rng(seed).uniform(-1, 1, (steps, 1)).astype(np.float32)
    return Episode(obs, action, np.zeros(steps, np.float32), {"scenario": scenario, **tags}, history)


# --- parameters ---------------------------------------------------------------------------------------------------------------


def test_the_parameters_are_what_differs_between_the_changes():
    changes = [
        Change(actuator_gain={"a": 0.5}, friction=0.7, damping=2.0),
        Change(actuator_gain={"b": -1.0}, external_force={"torso": (1.0, 0.0, -2.0)}, damping=2.0),
        Change(actuator_gain=0.25, slope_deg=5.0, action_delay=1, damping=2.0),
    ]

    names = varying_parameters(changes)

    assert names == (
        "actuator_gain a",
        "actuator_gain b",
        "friction",
        "slope_deg",
        "external_force torso x",
        "external_force torso z",
        "action_delay",
    )
    rows = [parameter_values(change, names).tolist() for change in changes]
    assert rows == [[0.5, 1.0, 0.7, 0, 0, 0, 0], [1.0, -1.0, 1.0, 0, 1.0, -2.0, 0], [0.25, 0.25, 1.0, 5.0, 0, 0, 1]]
    assert parameter_values(Change(), names).tolist() == [1.0, 1.0, 1.0, 0, 0, 0, 0]


def test_a_whole_that_is_given_part_by_part_has_no_number():
    assert np.isnan(parameter_values(Change(body_mass={"torso": 2.0}), ["body_mass"])).all()


def test_nothing_varies_where_all_changes_are_the_same():
    assert varying_parameters([Change(body_mass=2.0)] * 2) == ()
    assert varying_parameters([]) == ()


# --- windows ------------------------------------------------------------------------------------------------------------------


def test_windows_are_of_one_change_and_of_any_number_of_transitions():
    weak, heavy = {"actuator_gain": 0.5}, {"body_mass": {"cart": 2.0}}
    trunk = episode(1, (6, weak), (11, heavy))
    # a branch from step 11, three steps of whose history are under another change
    branch = episode(2, (6, weak), (11, heavy), steps=8, history=3, source="branch", situation=heavy)
    real = Episode(trunk.obs, trunk.action, trunk.reward, {"situation": {"wind": 8}})
    known = known_stretches([trunk, branch, real])
    names = varying_parameters(k.change for k in known)

    examples = draw_examples(known, names, WINDOW, 2000, seed=3)

    assert names == ("actuator_gain", "body_mass cart")
    counts = examples.recent.valid.sum(1)
    assert set(counts.tolist()) == set(range(WINDOW + 1))
    assert (counts == WINDOW).float().mean() > 0.25  # 0.1 if all numbers were equally likely
    seen: set[tuple[int, float]] = set()
    for row in range(2000):
        valid = examples.recent.valid[row]
        assert valid.tolist() == sorted(valid.tolist())  # the newest ones
        steps = examples.recent.obs[row, valid, 0].int().tolist()
        assert examples.recent.next_obs[row, valid, 0].int().tolist() == [s + 1 for s in steps]
        label = examples.labels[row].tolist()
        for step in steps:
            force = {"actuator_gain": 0.5} if 106 <= step < 111 else heavy if step >= 111 else {}
            assert label == pytest.approx(parameter_values(from_mapping(Change, force, source=""), names).tolist())
            seen.add((step, label[0]))
    assert {s for s, _ in seen} == {*range(100, 120), *range(203, 208)}  # every step, but the branch's history


def test_episodes_of_a_scenario_stay_together():
    trunks = [episode(i) for i in range(20)]
    branches = [episode(i, source="branch", situation={}, steps=5) for i in range(20)]

    parts = divide([*trunks, *branches], 0.2)

    seeds = [{e.tags["scenario"]["seed"] for e in part} for part in parts]
    assert [len(part) for part in parts] == [28, 4, 8]
    assert sum(map(len, seeds)) == len(set.union(*seeds)) == 20
    assert seeds[2] == {16, 17, 18, 19}
    marked = divide([*trunks, episode(7, validation=True)], 0.2)
    assert {e.tags["scenario"]["seed"] for e in marked.held_out} == {7}


# --- the command --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(make_checkpoint: MakeCheckpoint, tmp_path: Path) -> tuple[Path, Path]:
    store = EpisodeStore.open(tmp_path / "episodes", load_robot("cartpole").spec)
    gains = np.random.default_rng(0).uniform(0.3, 1.5, 12)
    store.append([episode(i, (5, {"actuator_gain": float(g)})) for i, g in enumerate(gains)])
    return make_checkpoint(tmp_path / "checkpoint"), tmp_path / "episodes"


def arguments(folders: tuple[Path, Path], out: Path) -> list[str]:
    named = ["--checkpoint", str(folders[0]), "--episodes", str(folders[1]), "--out", str(out), "--device", "cpu"]
    return ["diagnose", *named, "--windows", "200", "--updates", "20"]


def test_the_command_adds_a_diagnosis_to_a_checkpoint_and_says_how_good_it_is(
    tmp_path: Path, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"

    assert cli.main(arguments(folders, out)) == 0

    printed = capsys.readouterr().out
    made, base = load_checkpoint(out), load_checkpoint(folders[0])
    assert made.diagnosis is not None
    assert made.diagnosis.names == ("actuator_gain",)
    told = made.description.provenance["diagnosis"]
    assert (told["added_to"], told["windows"]) == (str(folders[0]), 200)
    (row,) = told["held_out"]
    assert 0 < row["rms_error"] < 2
    assert f"{row['rms_error']:.3g}" in printed
    assert "50 windows of 3 held-out changes" in printed  # two gains and no change
    before = base.adapter.state_dict()
    assert all((tensor == before[name]).all() for name, tensor in made.adapter.state_dict().items())
    assert base.description.provenance.items() <= made.description.provenance.items()
    assert cli.main(arguments(folders, out)) == 2
    assert capsys.readouterr().err == f"error: {out}: exists already; a checkpoint is never overwritten\n"


def test_evaluate_reports_the_diagnosis_beside_the_truth(tmp_path: Path, folders: tuple[Path, Path], cartpole_scenario: Path):
    assert cli.main(arguments(folders, tmp_path / "out")) == 0
    evaluate = ["evaluate", "--scenario", str(cartpole_scenario), "--episodes", "2", "--no-oracle", "--device", "cpu"]

    for checkpoint in (tmp_path / "out", folders[0]):
        assert cli.main([*evaluate, "--checkpoint", str(checkpoint), "--json", str(tmp_path / "report.json")]) == 0
        arms = json.loads((tmp_path / "report.json").read_text())["arms"]
        assert arms["random"]["diagnosis"] is None
        if checkpoint == folders[0]:
            assert arms["adaptive"]["diagnosis"] is None
            continue
        rows = arms["adaptive"]["diagnosis"]
        assert [list(row) for row in rows] == [["actuator_gain"]] * 2
        assert all(row["actuator_gain"]["truth"] == 0.3 and row["actuator_gain"]["std"] > 0 for row in rows)
        # under the prior it is the same of all robots
        assert len({row["actuator_gain"]["mean"] for row in arms["frozen"]["diagnosis"]}) == 1


def test_mistakes_are_one_line_and_leave_nothing(
    tmp_path: Path, folders: tuple[Path, Path], make_checkpoint: MakeCheckpoint, capsys: pytest.CaptureFixture[str]
):
    out, spec = tmp_path / "out", load_robot("cartpole").spec
    multitask = make_checkpoint(tmp_path / "multitask", rule="none")
    EpisodeStore.open(tmp_path / "few", spec).append([episode(0), episode(1)])
    EpisodeStore.open(tmp_path / "nominal", spec).append([episode(i) for i in range(5)])
    EpisodeStore.open(tmp_path / "others", load_robot("arm").spec).append([])

    for (checkpoint, episodes), more, expected in (
        ((folders[0], tmp_path / "none"), [], f"{tmp_path / 'none'}: no episodes there (no spec.yaml)"),
        ((folders[0], tmp_path / "others"), [], f"{tmp_path / 'others'}: holds episodes of another robot: "),
        (
            (folders[0], tmp_path / "few"),
            [],
            f"{tmp_path / 'few'}: the episodes are of 2 simulated scenarios; needed: at",
        ),
        ((folders[0], tmp_path / "nominal"), [], f"{tmp_path / 'nominal'}: no parameter changes in the scenarios"),
        ((multitask, folders[1]), [], f"{multitask}: the checkpoint does not adapt"),
        (folders, ["--held-out", "1"], "--held-out: 1.0 is out of range; allowed: above 0 and below 1"),
    ):
        assert cli.main([*arguments((checkpoint, episodes), out), *more]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: {expected}")
        assert error.count("\n") == 1
        assert not out.exists()
    wrong = arguments(folders, out)
    wrong[wrong.index("--windows") + 1] = "1"
    assert cli.main(wrong) == 2
    assert capsys.readouterr().err == "error: --windows: 1 is out of range; allowed: at least 2\n"
