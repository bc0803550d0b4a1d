"""The compiled control step is that of the uncompiled one, and where it cannot be compiled, it is used as it stands."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from adaptive_mbrl.control import compiled
from adaptive_mbrl.control.compiled import obstacle, step_halves
from adaptive_mbrl.control.step import StepHalves
from adaptive_mbrl.controller import AdaptiveController, StepOptions
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning.base import CompileMode
from tests.core.analytic import POINT, POINT_WINDOW, TINY_PLANNER, TO_ORIGIN, push
from tests.core.driving import control_settings
from tests.core.rules import point_adapter

CPU, GPU = torch.device("cpu"), torch.device("cuda")
START = np.array([0.3, 0.0], np.float32)


@pytest.fixture(autouse=True)
def forget_graphs() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def controller(mode: CompileMode, rule: str = "gradient") -> AdaptiveController:
    settings = control_settings(point_adapter(rule), TO_ORIGIN, TINY_PLANNER, compile=mode)
    return AdaptiveController(POINT, settings, POINT_WINDOW)


def plans(driven: AdaptiveController) -> np.ndarray:
    """The plans of an episode in which time is short in step 3, and in which one action is on its way from step 4 on."""
    obs, found = START, []
    for t in range(6):
        pending = np.full((1, 1), 0.3, np.float32) if t > 3 else None
        command = driven.step(obs, options=StepOptions(num_samples=12 if t == 3 else None, pending=pending))
        found.append(command.plan)
        obs = push(obs, command.action, 0.7)
    return np.stack(found)


def without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled.shutil, "which", lambda name: None)


def test_without_a_compiler_nothing_is_compiled_and_it_is_said_why(monkeypatch: pytest.MonkeyPatch):
    without_a_compiler(monkeypatch)

    assert obstacle(CPU).startswith("there is no C++ compiler (g++, c++, clang++")
    assert step_halves("auto", CPU) == StepHalves()
    with pytest.raises(ConfigError, match=r"planner: key 'compile': 'inductor' is not possible here: there is no C\+\+ compiler"):
        step_halves("inductor", CPU)


def test_a_compiler_that_cxx_names_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CXX", "/opt/my-c++")
    monkeypatch.setattr(compiled.shutil, "which", lambda name: name if name == "/opt/my-c++" else None)

    assert obstacle(CPU) == ""


def test_cuda_graphs_need_a_gpu():
    with pytest.raises(ConfigError, match=r"'cudagraph' is not possible here: CUDA graphs need a GPU; allowed: auto, off"):
        controller("cudagraph")


def test_a_gpu_needs_triton(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiled, "_has_triton", lambda: False)

    assert obstacle(GPU) == "the package triton is missing"


@pytest.mark.parametrize("rule", ["none", "gradient", "recurrent"])
def test_a_compiled_controller_plans_as_one_that_is_not(rule: str, monkeypatch: pytest.MonkeyPatch):
    """The tracing is real; what would be made into kernels is run as it stands, because making them takes long."""
    monkeypatch.setattr(compiled, "obstacle", lambda device, mode: "")
    monkeypatch.setattr(compiled.torch, "compile", functools.partial(torch.compile, backend="eager"))

    np.testing.assert_allclose(plans(controller("inductor", rule)), plans(controller("off", rule)), atol=1e-5)


def test_what_cannot_be_compiled_is_used_as_it_stands(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    def breaks(graph: object, inputs: object) -> None:
        raise RuntimeError("no kernel for this processor")

    monkeypatch.setattr(compiled, "obstacle", lambda device, mode: "")
    monkeypatch.setattr(compiled.torch, "compile", functools.partial(torch.compile, backend=breaks))

    with caplog.at_level(logging.WARNING):
        assert np.array_equal(plans(controller("auto")), plans(controller("off")))
    said = [record.message for record in caplog.records if "not compiled" in record.message]
    assert len(said) == 2
    assert "no kernel for this processor" in said[0]
    with pytest.raises(ConfigError, match=r"planner: key 'compile': adapt cannot be compiled: .*no kernel for this processor"):
        controller("inductor").step(START)


@pytest.mark.slow
@pytest.mark.skipif(bool(obstacle(CPU)), reason=obstacle(CPU))
@pytest.mark.parametrize("rule", ["gradient", "context", "bayes_linear"])
def test_kernels_of_this_machine_plan_as_the_uncompiled_step(rule: str):
    np.testing.assert_allclose(plans(controller("inductor", rule)), plans(controller("off", rule)), atol=1e-4)
