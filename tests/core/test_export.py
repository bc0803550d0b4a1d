"""A controller as a file: the same commands as the controller's own, in a process that does not have this package."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.checkpoint import FORMAT_VERSION, Checkpoint, Description, save_checkpoint
from adaptive_mbrl.control.compiled import why_not_compiled
from adaptive_mbrl.controller import AdaptiveController, StepOptions
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.export import model_program, step_program
from adaptive_mbrl.export.command import export
from adaptive_mbrl.export.contract import ENTRY
from adaptive_mbrl.options import ExportOptions
from adaptive_mbrl.planning import CVaRRiskConfig
from adaptive_mbrl.planning.sampling import SamplingPlanner
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import POINT, POINT_MODEL, POINT_WINDOW, TO_ORIGIN, push
from tests.core.compiling import TRACED_PLANNER
from tests.core.driving import PLANNERS, control_settings
from tests.core.rules import KINDS, RULES, point_adapter, rules_marked_slow_but, stirred_adapter

ROOT = Path(__file__).resolve().parent.parent.parent
START = np.array([[0.3, 0.0]], np.float32)
SHORT = {name: dataclasses.replace(planner, horizon=TRACED_PLANNER.horizon) for name, planner in PLANNERS.items()}
SAMPLING = [name for name in PLANNERS if name != "gradient"]


def controller(rule: str, planner: Any = TRACED_PLANNER, **settings: Any) -> AdaptiveController:
    return AdaptiveController(POINT, control_settings(point_adapter(rule), TO_ORIGIN, planner, **settings), POINT_WINDOW)


def white_noise(planner: SamplingPlanner, generator: torch.Generator) -> torch.Tensor:
    """What the planner's own generator draws before it is coloured."""
    candidates = planner.num_iterations * planner.num_samples
    drawn = torch.randn(candidates, planner.horizon, planner.action_dim, generator=generator)
    return drawn.unflatten(0, (planner.num_iterations, planner.num_samples))


def assert_same_commands(program: Any, driven: AdaptiveController, start: np.ndarray = START, steps: int = 9) -> None:
    """Drive robots with the controller, and compare the program's plans; there is a gap, and after some steps all begin anew."""
    planner, generator = driven.settings.planner, torch.Generator().manual_seed(0)
    assert isinstance(planner, SamplingPlanner)
    planner.seed(0)
    rng, robots = np.random.default_rng(0), len(start)
    goal = rng.standard_normal((robots, driven.settings.score.reward.goal_dim)).astype(np.float32)
    sent = np.zeros((robots, driven.spec.action_dim), np.float32)
    for t in range(steps):
        is_new = t in (0, 6)
        if is_new:
            driven.reset()
            obs = start
        connected = np.full(robots, t != 4)
        # the belief's noise is drawn before the plan's, of the same stream
        generator.set_state(planner.generators[0].get_state())
        drawn = driven.settings.adapter.draw_noise(driven.settings.adapter.prior(robots), generator)
        noise = [white_noise(planner, generator), *([] if drawn is None else [drawn])]
        command = driven.step(obs, goal, StepOptions(after_gap=not connected[0]))
        given = (*map(torch.from_numpy, (obs, goal, sent, connected)), torch.tensor(is_new), *noise)
        found = dict(zip(step_program.OUTPUTS, program(*given), strict=True))
        np.testing.assert_allclose(found["actions"].numpy(), command.plan, atol=1e-5)
        np.testing.assert_allclose(found["adapted_error"].numpy(), command.info.adapted_error, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(found["diagnosis"].numpy(), command.info.diagnosis, rtol=1e-3, atol=1e-5)
        assert found["run_length"].tolist() == command.info.run_length.tolist()
        sent = command.action
        moved = push(obs, sent, 0.7) if driven.spec is POINT else obs
        obs = (moved + 0.02 * np.abs(start) * rng.standard_normal(start.shape)).astype(np.float32)


@pytest.mark.filterwarnings("ignore:No complete tensor found")
@pytest.mark.parametrize("rule", rules_marked_slow_but(("context",), KINDS))
def test_a_program_plans_as_the_controller_does(rule: str, tmp_path: Path):
    torch.export.save(step_program.export_step(controller(rule)), tmp_path / "step.pt2")

    program = torch.export.load(tmp_path / "step.pt2").module()

    assert_same_commands(program, controller(rule))


@functools.cache
def exported(name: str) -> tuple[Any, AdaptiveController]:
    """The program of a controller with a planner, whose state is left as the last call left it, and the controller."""
    driven = controller("context", SHORT[name])
    return step_program.export_step(driven).module(), driven


# the other tests export icem and cem
@pytest.mark.parametrize("name", [name if name == "mppi" else pytest.param(name, marks=pytest.mark.slow) for name in SAMPLING])
def test_every_sampling_planner_can_be_exported(name: str):
    assert_same_commands(exported(name)[0], controller("context", SHORT[name]), steps=3)


def test_a_program_plans_with_the_risk_of_its_planner():
    averse = dataclasses.replace(SHORT["cem"], risk=CVaRRiskConfig(0.6))

    program = step_program.export_step(controller("context", averse)).module()

    assert_same_commands(program, controller("context", averse), steps=3)


def test_a_frozen_controller_is_exported_frozen():
    program = step_program.export_step(controller("context", adapt=False)).module()

    assert_same_commands(program, controller("context", adapt=False), steps=3)


def test_a_program_of_several_robots_plans_for_each_of_them():
    start = np.array([[0.3, 0.0], [-0.5, 0.2], [0.1, -0.4]], np.float32)

    program = step_program.export_step(controller("context_then_bayes_linear"), 3).module()

    assert_same_commands(program, controller("context_then_bayes_linear"), start)


@pytest.mark.parametrize("name", ["mppi", pytest.param("cem", marks=pytest.mark.slow)])
def test_a_program_remembers_no_derivatives_from_call_to_call(name: str):
    program, _ = exported(name)
    inputs = step_program.example_inputs(controller("context", SHORT[name]), 1)

    outputs = program(*inputs.values())

    assert not any(value.requires_grad for value in (*outputs, *program.buffers(), *program.parameters()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["arm", "cartpole", "half_cheetah", "quadrotor"])
def test_shipped_controllers_are_exported_as_they_are(name: str):
    """They have goals, a diagnosis and rules of all kinds, in turn."""
    driven = AdaptiveController.load(name)
    start = driven.settings.adapter.normalizer.obs_mean.numpy()[None]

    program = step_program.export_step(AdaptiveController.load(name)).module()

    assert_same_commands(program, driven, start)


def test_exporting_leaves_the_controller_as_it_was():
    (_, driven), untouched = exported("mppi"), controller("context", SHORT["mppi"])

    assert driven.belief is None
    np.testing.assert_array_equal(driven.step(START).plan, untouched.step(START).plan)


def test_the_planner_that_follows_derivatives_is_refused():
    with pytest.raises(ConfigError, match="--planner: GradientPlanner cannot be exported; allowed: cem, icem"):
        step_program.export_step(controller("context", SHORT["gradient"]))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The shipped cart-pole controller as a file, with a planner that is quickly traced, and what was said about it."""
    out = tmp_path_factory.mktemp("exported") / "cartpole.pt2"
    with contextlib.redirect_stdout(io.StringIO()) as said:
        export(ExportOptions("cartpole", out, planner="{cem: {num_samples: 16, num_elites: 4, horizon: 2, num_iterations: 1}}"))
    return out, said.getvalue()


def without_this_package(patch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "adaptive_mbrl"]:
        patch.setitem(sys.modules, name, None)


@pytest.fixture(scope="module")
def loaded(written: tuple[Path, str]) -> tuple[Any, dict[str, Any]]:
    """The program in that file, and what the file says about it."""
    files = {ENTRY: ""}
    with pytest.MonkeyPatch.context() as patch:
        without_this_package(patch)
        program = torch.export.load(written[0], extra_files=files).module()
    return program, json.loads(files[ENTRY])


@pytest.mark.slow
def test_the_example_swings_up_without_this_package(tmp_path: Path):
    export(ExportOptions("cartpole", tmp_path / "cartpole.pt2"))
    example = ROOT / "examples" / "exported" / "swing_up.py"
    without = f"import runpy, sys; sys.modules['adaptive_mbrl'] = None; sys.argv[1:] = [{str(tmp_path / 'cartpole.pt2')!r}]"

    ran = subprocess.run(
        [sys.executable, "-c", f"{without}; runpy.run_path({str(example)!r}, run_name='__main__')"],
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 0, ran.stderr
    before, after = (float(re.search(rf"^{when}: upright (\S+)$", ran.stdout, re.MULTILINE)[1]) for when in ("before", "after"))
    assert min(before, after) > 0.9, ran.stdout


def test_a_file_needs_nothing_of_this_package(loaded: tuple[Any, dict[str, Any]], monkeypatch: pytest.MonkeyPatch):
    inputs = step_program.example_inputs(AdaptiveController.load("cartpole"), 1) | {"noise": torch.zeros(1, 16, 2, 1)}
    without_this_package(monkeypatch)

    actions, *_ = loaded[0](*inputs.values())

    assert actions.shape == (1, 2, 1)
    assert actions.isfinite().all()


def test_a_file_says_what_goes_in_and_what_comes_out(loaded: tuple[Any, dict[str, Any]]):
    about = loaded[1]

    assert (about["robot"], about["control_period"], about["goal"]) == ("cartpole", 0.04, [])
    assert [channel["name"] for channel in about["obs"]] == ["cart_position", "pole_angle", "cart_velocity", "pole_velocity"]
    assert about["action"] == [{"name": "slide", "unit": "1", "low": -1.0, "high": 1.0}]
    assert [entry["name"] for entry in about["inputs"]] == ["obs", "goal", "sent", "connected", "reset", "noise"]
    assert {entry["name"]: entry["shape"] for entry in about["outputs"]}["actions"] == [1, 2, 1]
    assert tuple(entry["name"] for entry in about["outputs"]) == step_program.OUTPUTS


def point_checkpoint(folder: Path, *rules: Any) -> str:
    """A checkpoint of the point mass that is not trained, and small, so that it is quickly exported."""
    settings = POINT_MODEL, rules, TRACED_PLANNER, POINT_WINDOW
    description = Description(FORMAT_VERSION, POINT, TO_ORIGIN.terms, (), *settings, {"made by": "a test"})
    adapter = stirred_adapter(rules, DynamicsModel(POINT, POINT_MODEL), POINT_WINDOW)
    save_checkpoint(folder, Checkpoint(description, adapter))
    return str(folder)


@pytest.mark.parametrize("name", ["point", pytest.param("cartpole", marks=pytest.mark.slow)])
def test_an_onnx_file_adapts_and_predicts_as_the_rule_does(name: str, tmp_path: Path):
    runtime = pytest.importorskip("onnxruntime")
    out = tmp_path / "robot.onnx"
    if name == "point":
        name = point_checkpoint(tmp_path / "point", *RULES["context"], GradientConfig(steps=1, learning_rate=0.3))

    export(ExportOptions(name, out, format="onnx", robots=2))

    session = runtime.InferenceSession(out)
    driven, generator = AdaptiveController.load(name), torch.Generator().manual_seed(0)
    inputs = {
        name: torch.randn(value.shape, generator=generator) if value.dtype == torch.float32 else value
        for name, value in model_program.example_inputs(driven, 2).items()
    }
    inputs["recent_valid"][0, :5] = False
    mean, std = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    *recent, obs, action = inputs.values()
    expected = driven.predictor(Transitions(*recent)).predict(obs[:, None], action[:, None])
    np.testing.assert_allclose(mean, expected.mean[:, 0].detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(std, expected.std[:, 0].detach().numpy(), rtol=1e-4)
    about = json.loads(session.get_modelmeta().custom_metadata_map[ENTRY])
    assert tuple(entry["name"] for entry in about["outputs"]) == model_program.OUTPUTS


def test_a_rule_that_onnx_has_no_operation_for_is_refused(tmp_path: Path):
    pytest.importorskip("onnxscript")

    name, out = point_checkpoint(tmp_path / "point", *RULES["bayes_linear"]), tmp_path / "out"
    with pytest.raises(ConfigError, match=r"'onnx' is not possible for .*: ONNX has no linalg_cholesky_ex; allowed: program"):
        export(ExportOptions(name, out / "point.onnx", format="onnx"))

    assert not list(out.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not_compiled(torch.device("cpu"))), reason="needs a C++ compiler")
def test_a_compiled_library_plans_as_the_controller_does(tmp_path: Path):
    export(ExportOptions("cartpole", tmp_path / "cartpole.PT2", format="library"))

    program = torch._inductor.aoti_load_package(str(tmp_path / "cartpole.PT2"))
    start = np.array([[0.1, 3.0, 0.2, -0.1]], np.float32)
    assert_same_commands(program, AdaptiveController.load("cartpole"), start)
    assert json.loads(program.get_metadata()[ENTRY])["robot"] == "cartpole"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out": Path("x.onnx")}, "--out: x.onnx is no .pt2 file"),
        ({"out": Path("x.pt2"), "format": "onnx"}, "--out: x.pt2 is no .onnx file"),
        ({"robots": 0}, "--robots: 0 is out of range; allowed: at least 1"),
        ({"format": "onnx", "planner": "cem"}, "--planner: an ONNX file has no planner"),
    ],
)
def test_flags_that_do_not_fit_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=re.escape(message)):
        ExportOptions("cartpole", **options)


def test_another_planner_is_exported_with_its_own_settings(written: tuple[Path, str]):
    said = re.sub(" +", " ", written[1])
    assert "in noise float32 (1, 16, 2, 1)" in said
    assert "out actions float32 (1, 2, 1)" in said
