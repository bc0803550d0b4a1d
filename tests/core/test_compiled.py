"""The compiled control step is that of the uncompiled one, and where it cannot be compiled, it is used as it stands."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from adaptive_mbrl.control import compiled
from adaptive_mbrl.control.compiled import CompileMode, step_halves, why_not_compiled
from adaptive_mbrl.control.step import StepHalves
from adaptive_mbrl.controller import AdaptiveController, StepOptions
from adaptive_mbrl.errors import ConfigError
from tests.core.analytic import POINT, POINT_WINDOW, TO_ORIGIN, push
from tests.core.compiling import TRACED_PLANNER, OneGraphCompiler
from tests.core.driving import control_settings
from tests.core.rules import point_adapter

CPU, GPU = torch.device("cpu"), torch.device("cuda")
START = np.array([0.3, 0.0], np.float32)


@pytest.fixture(autouse=True)
def forget_graphs() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def controller(mode: CompileMode, rule: str = "gradient", **settings: Any) -> AdaptiveController:
    made = control_settings(point_adapter(rule), TO_ORIGIN, TRACED_PLANNER, **settings)
    return AdaptiveController(POINT, made, POINT_WINDOW, compile=mode)


def options_at(t: int) -> StepOptions:
    """All that may differ from step to step on a robot: actions on their way, newer observations, time, gaps."""
    return StepOptions(
        num_samples=(None, 12, 10, None, 8)[t % 5],
        pending=np.full((t % 3, 1), 0.3, np.float32) if t % 3 else None,
        latest=START if t % 4 == 2 else None,
        remaining=0.5,
        sent=np.zeros(1, np.float32) if t == 4 else None,
        after_gap=t == 5,
        freeze=t == 6,
    )


def plans(driven: AdaptiveController, steps: int = 8) -> np.ndarray:
    """The plans of an episode."""
    obs, found = START, []
    for t in range(steps):
        command = driven.step(obs, options=options_at(t))
        found.append(command.plan)
        obs = push(obs, command.action, 0.7)
    return np.stack(found)


@pytest.fixture
def one_graph(monkeypatch: pytest.MonkeyPatch) -> OneGraphCompiler:
    """Runs what was traced as it stands, because making kernels takes long, and counts the graphs."""
    compiler = OneGraphCompiler()
    monkeypatch.setattr(compiled, "why_not_compiled", lambda device: "")
    monkeypatch.setattr(compiled.torch, "compile", functools.partial(torch.compile, backend=compiler.without_waiting))
    return compiler


def without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled.shutil, "which", lambda name: None)


def test_without_a_compiler_nothing_is_compiled_and_it_is_said_why(monkeypatch: pytest.MonkeyPatch):
    without_a_compiler(monkeypatch)

    assert why_not_compiled(CPU).startswith("there is no C++ compiler 'g++'")
    assert step_halves("auto", CPU) == StepHalves()
    with pytest.raises(ConfigError, match=r"compile: 'inductor' is not possible here: there is no C\+\+ compiler"):
        step_halves("inductor", CPU)


def test_the_compiler_is_the_one_that_cxx_names(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "/opt/my-c++")
    monkeypatch.setattr(compiled.shutil, "which", lambda name: name if name == "/opt/my-c++" else None)

    assert why_not_compiled(CPU) == ""


def test_cuda_graphs_need_a_gpu(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiled, "why_not_compiled", lambda device: "")

    with pytest.raises(ConfigError, match="compile: 'cudagraph' needs a GPU; allowed: auto, off, inductor"):
        controller("cudagraph")


def test_a_gpu_needs_triton(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiled, "_has_triton", lambda: False)

    assert why_not_compiled(GPU) == "the package triton is missing"


@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        pytest.param("none", {"precision": "bfloat16"}, id="none", marks=pytest.mark.slow),
        pytest.param("gradient", {"predicted_steps": 2}, id="gradient"),
        pytest.param("recurrent", {}, id="recurrent", marks=pytest.mark.slow),
        pytest.param("latent", {}, id="latent", marks=pytest.mark.slow),
    ],
)
def test_a_compiled_controller_plans_as_one_that_is_not(rule: str, settings: dict[str, Any], one_graph: OneGraphCompiler):
    """One graph for adapting and two for planning, with all candidates and with any smaller number of them."""
    found = plans(controller("inductor", rule, **settings))

    np.testing.assert_allclose(found, plans(controller("off", rule, **settings)), atol=1e-5)
    assert one_graph.graphs == 3


def test_a_robot_does_not_wait_for_a_compiler(one_graph: OneGraphCompiler):
    """What was compiled before is used; a step with fewer candidates, for which nothing was compiled, is made as it stands."""
    driven = controller("inductor", "none")
    driven.step(START)
    driven.reset()
    driven.settings.planner.seed(0)
    driven.compile_no_more()

    np.testing.assert_allclose(plans(driven), plans(controller("off", "none")), atol=1e-5)
    assert one_graph.graphs == 2


@pytest.mark.slow
def test_many_controllers_of_a_process_are_compiled(one_graph: OneGraphCompiler):
    with torch._dynamo.config.patch(recompile_limit=2):
        for _ in range(3):
            found = plans(controller("inductor", "none"), steps=1)

    assert one_graph.graphs == 6
    np.testing.assert_allclose(found, plans(controller("off", "none"), steps=1), atol=1e-5)


@pytest.mark.slow
def test_more_shapes_than_torch_allows_are_used_as_they_stand(one_graph: OneGraphCompiler):
    with torch._dynamo.config.patch(recompile_limit=1):
        found = plans(controller("auto"))

    np.testing.assert_allclose(found, plans(controller("off")), atol=1e-5)


def test_what_cannot_be_compiled_is_used_as_it_stands(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    def breaks(graph: object, inputs: object) -> None:
        raise RuntimeError("no kernel for this processor")

    monkeypatch.setattr(compiled, "why_not_compiled", lambda device: "")
    monkeypatch.setattr(compiled.torch, "compile", functools.partial(torch.compile, backend=breaks))

    with caplog.at_level(logging.WARNING):
        assert np.array_equal(plans(controller("auto", "none")), plans(controller("off", "none")))
    said = [record.message for record in caplog.records if "not compiled" in record.message]
    assert len(said) == 2
    assert "no kernel for this processor" in said[0]
    with pytest.raises(ConfigError, match=r"compile: adapt cannot be compiled: .*no kernel for this processor"):
        controller("inductor", "none").step(START)


@pytest.mark.slow
@pytest.mark.skipif(bool(why_not_compiled(CPU)), reason=why_not_compiled(CPU))
@pytest.mark.parametrize("rule", ["gradient", "context", "bayes_linear"])
def test_kernels_of_this_machine_plan_as_the_uncompiled_step(rule: str):
    np.testing.assert_allclose(plans(controller("inductor", rule)), plans(controller("off", rule)), atol=1e-4)
