"""The command `bench`: its figures, its comparison with another library, and what it prints."""

from __future__ import annotations

import itertools
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from adaptive_mbrl.bench import command
from adaptive_mbrl.bench.cases import VALUES, Case, planning_cases
from adaptive_mbrl.bench.command import bench
from adaptive_mbrl.bench.driven import driven_by, planning_operations, random_model
from adaptive_mbrl.bench.memory import largest_memory
from adaptive_mbrl.bench.peak import matrix_peak
from adaptive_mbrl.bench.pictures import draw_sweeps
from adaptive_mbrl.bench.pytorch_mppi import PlainDynamics, PytorchMppi
from adaptive_mbrl.bench.tables import name_of
from adaptive_mbrl.bench.timing import Spread, measure
from adaptive_mbrl.checkpoint import Checkpoint, load_checkpoint
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.options import BenchOptions
from adaptive_mbrl.timing import LEAST_STEPS, WARM_UP_STEPS, in_turn

SMALL = Case(samples=4, horizon=3, width=8, layers=2)


@pytest.fixture(scope="module")
def cartpole() -> Checkpoint:
    return load_checkpoint("cartpole")


def test_each_case_differs_from_the_base_case_in_one_setting_and_comes_once():
    cases = planning_cases(("samples", "width"))
    assert len(set(cases)) == len(cases) == 2 * (len(VALUES["samples"]) + len(VALUES["width"]) - 1)
    for case in cases:
        base = replace(Case(), precision=case.precision)
        assert sum(value != asdict(base)[name] for name, value in asdict(case).items()) <= 1


def test_a_case_is_named_by_what_differs():
    assert name_of(asdict(Case(samples=32, precision="bfloat16"))) == "N = 32, bfloat16"
    assert name_of(asdict(Case())) == "float32"


def test_the_operations_of_planning_are_those_of_its_matrix_products(cartpole: Checkpoint):
    case = replace(SMALL, members=2, batch=3)
    controller = driven_by(case, cartpole, "cpu").controller
    model = random_model(case, cartpole)
    # the columns of angles are zeros, and multiplied all the same
    columns = model.normalizer.encoded_dim
    driven = model.spec.action_dim + model.config.context_dim
    per_prediction = (columns + driven) * 8 + 8 * 8 + 8 * model.spec.obs_dim
    assert planning_operations(controller, batch=3) == 2 * per_prediction * (4 * 3) * 2 * 3


def test_the_memory_is_that_of_the_tensors_that_live_at_once():
    def run() -> torch.Tensor:
        first = torch.zeros(1000)
        second = first + 1
        del first
        return (second * 2).view(10, 100)[:5]

    assert largest_memory(run) == 2 * 4000


def test_a_plain_network_predicts_as_ours(cartpole: Checkpoint):
    model = random_model(SMALL, cartpole)
    torch.manual_seed(0)
    obs = model.normalizer.obs_mean + 0.3 * model.normalizer.obs_std * torch.randn(5, model.spec.obs_dim)
    action = torch.rand(5, model.spec.action_dim) * 2 - 1
    with torch.no_grad():
        ours = NetworkPredictor(model).roll_out(obs[:1], action[None, :, None]).next_obs[0, 0, :, 0]
        plain = PlainDynamics(model)(obs[:1].expand(5, -1), action)
    torch.testing.assert_close(model.normalizer.wrap(plain), ours)


def test_the_library_plans_within_the_limits(cartpole: Checkpoint):
    pytest.importorskip("pytorch_mppi", reason="package pytorch-mppi is not installed")
    peer = PytorchMppi(SMALL, cartpole)
    limits = cartpole.description.spec.action[0]
    action = peer.plan(cartpole.adapter.model.normalizer.obs_mean)
    assert action.shape == (1,)
    assert torch.isfinite(action).all()
    assert limits.low < limits.high


def test_the_spread_is_of_all_steps():
    assert Spread.of([0.001 * i for i in range(101)]) == Spread(50.0, 90.0, 99.0)


def test_contestants_work_in_turn_for_as_long_as_is_asked():
    order: list[str] = []

    def contestant(name: str, seconds: float):
        def work() -> float:
            order.append(name)
            return seconds

        return work

    ticks = itertools.count()
    times = in_turn({"a": contestant("a", 1.0), "b": contestant("b", 2.0)}, 20.0, clock=lambda: float(next(ticks)))
    assert set(times["a"]) == {1.0}
    assert set(times["b"]) == {2.0}
    rounds = len(times["a"])
    assert rounds == len(times["b"]) > LEAST_STEPS
    assert order[2 * WARM_UP_STEPS :] == ["a", "b"] * rounds


def test_a_case_is_measured_for_the_least_number_of_steps(cartpole: Checkpoint):
    times = measure(driven_by(SMALL, cartpole, "cpu"), seconds=0.0)
    assert times.steps == LEAST_STEPS
    assert 0 < times.plan.median <= times.total.median
    assert times.total.median <= times.total.p90 <= times.total.p99


def test_the_peak_is_a_rate():
    assert matrix_peak(torch.float32, torch.device("cpu")) > 1e8


def test_the_command_writes_all_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(command, "planning_cases", lambda sweeps, compile: [SMALL, replace(SMALL, precision="bfloat16")])
    monkeypatch.setattr(command, "adapting_cases", lambda compile: [replace(SMALL, rule="none"), replace(SMALL, rule="context")])
    bench(BenchOptions(checkpoint="cartpole", sweeps=(), seconds=0.01, out=tmp_path, device="cpu"))

    report = json.loads((tmp_path / "bench.json").read_text())
    assert report["cases"][0]["name"] == "cartpole"
    assert all(cell["share_of_peak"] > 0 and cell["memory_bytes"] > 0 for cell in report["cases"])
    assert [cell["case"]["rule"] for cell in report["adapting"]] == ["none", "context"]
    assert report["peers"] == []
    assert report["calibration"].keys() == {"time_share", "action_error"}
    shown = capsys.readouterr().out
    assert "adapt and plan" in shown
    assert "cartpole, precision auto: " in shown
    assert f"wrote {tmp_path / 'bench.json'}\n" in shown
    assert not (tmp_path / "bench.png").exists()


def test_the_picture_shows_each_sweep(tmp_path: Path):
    cells = [
        {"case": asdict(case), "plan_ms": {"median": 0.1 * case.samples, "p90": 0.2 * case.samples}}
        for case in planning_cases(("samples",))
    ]
    draw_sweeps(cells, ("samples",), tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_a_missing_library_is_said_before_anything_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pytorch_mppi", None)
    with pytest.raises(ConfigError, match=r"package 'pytorch_mppi' is not installed; pip install 'adaptive-mbrl\[peers\]'"):
        bench(BenchOptions(checkpoint="cartpole", against=("pytorch-mppi",), out=tmp_path, device="cpu"))
    assert not list(tmp_path.iterdir())
