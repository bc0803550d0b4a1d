"""The control step compiled for this machine, or as it stands where it cannot be.

A compiler (`torch.compile`) makes a few kernels of hundreds of operations, which matters most where tensors are small. The first
step of each shape then takes seconds to minutes. What was compiled is kept on disk, so that it is found again by the next start:
`TORCHINDUCTOR_CACHE_DIR` says where, by default a folder of the user's in the folder for temporary files.

| mode | what it does |
|---|---|
| `off` | nothing |
| `auto` | `inductor` where this machine has a compiler, otherwise nothing; what fails to be compiled is used as it stands |
| `inductor` | compiles both halves of the step |
| `cudagraph` | launches their kernels as CUDA graphs, too; on a GPU |
"""

from __future__ import annotations

import inspect
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Literal

import torch

from adaptive_mbrl.control.delay import after_sending
from adaptive_mbrl.control.step import (
    ControllerState,
    StepHalves,
    StepReport,
    adapt,
    plan_under,
    when_the_plan_acts,
)
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning import Plan

CompileMode = Literal["auto", "off", "inductor", "cudagraph"]
_ISOLATED: dict[str, Any] = (
    {"isolate_recompiles": True} if "isolate_recompiles" in inspect.signature(torch.compile).parameters else {}
)
"""With this, the controllers of a process, of which there may be many, do not share the number of graphs that torch allows."""
_LOG = logging.getLogger(__name__)


def why_not_compiled(device: torch.device) -> str:
    """Why nothing can be compiled for a device on this machine; empty if it can."""
    if device.type == "cuda":
        return "" if _has_triton() else "the package triton is missing"
    compiler = os.environ.get("CXX", "g++")
    return "" if shutil.which(compiler) else f"there is no C++ compiler '{compiler}' (the environment variable CXX names another)"


def step_halves(mode: CompileMode, device: torch.device) -> StepHalves:
    """The halves of the control step in one of the modes above.

    Raises:
        ConfigError: this machine cannot compile in that way; never with `auto`.
    """
    if mode == "off":
        return StepHalves()
    why_not = why_not_compiled(device)
    if mode == "auto" and why_not:
        return StepHalves()
    if why_not:
        raise ConfigError(f"compile: '{mode}' is not possible here: {why_not}; allowed: auto, off")
    if mode == "cudagraph" and device.type != "cuda":
        raise ConfigError("compile: 'cudagraph' needs a GPU; allowed: auto, off, inductor")
    how = {"captures": mode == "cudagraph", "must": mode != "auto"}
    return StepHalves(_Compiled(adapt, **how), _CompiledPlan(plan_under, **how))


def compile_no_more(halves: StepHalves) -> None:
    """From now on, what was not compiled yet is used as it stands, because somebody waits for it."""
    for half in halves:
        if isinstance(half, _Compiled):
            half.is_closed = True


class _Compiled:
    """A function that is compiled when it is first called, and again for arguments of other shapes.

    Args:
        function: what is compiled, as one graph.
        captures: whether its kernels are launched together, as a CUDA graph.
        must: whether a failure is an error; otherwise the function is used as it stands from then on.

    Attributes:
        is_closed: whether arguments of other shapes are no longer compiled for.
    """

    def __init__(self, function: Callable[..., Any], *, captures: bool, must: bool) -> None:
        self._function, self._captures, self._must = function, captures, must
        self.is_closed = False
        mode = "reduce-overhead" if captures else None
        self._compiled: Callable[..., Any] | None = torch.compile(function, fullgraph=True, mode=mode, **_ISOLATED)

    def __call__(self, *args: Any) -> Any:
        if self._compiled is None:
            return self._function(*args)
        try:
            with torch.compiler.set_stance("eager_on_recompile") if self.is_closed else nullcontext():
                return self._called(self._compiled, args)
        except _failures() as error:
            reason = " ".join(line.strip() for line in str(error).strip().splitlines()[:2])
            if self._must:
                raise ConfigError(f"compile: {self._function.__name__} cannot be compiled: {reason}") from error
            _LOG.warning("the control step is not compiled: %s: %s", self._function.__name__, reason)
            self._compiled = None
            return self._function(*args)

    def _called(self, compiled: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        if not self._captures:
            return compiled(*args)
        # what a CUDA graph returns lies where its next launch writes
        torch.compiler.cudagraph_mark_step_begin()
        return torch.utils._pytree.tree_map_only(torch.Tensor, torch.clone, compiled(*args))


class _CompiledPlan(_Compiled):
    """The half of the step that plans; how many actions are on their way differs from step to step on a robot.

    The observation after them is predicted before, uncompiled. Otherwise each number would be compiled for itself.
    """

    @torch.no_grad()
    def __call__(self, *args: Any) -> tuple[ControllerState, Plan, StepReport]:
        adapted, state, inputs, noise, settings, is_late = args
        pending = inputs.pending
        # never the very tensor of `inputs.obs`: it would be compiled anew where two arguments that were two become one
        begin = inputs.begin.clone()
        if pending.shape[1]:
            begin = when_the_plan_acts(settings.adapter.condition(adapted.belief, noise.belief), inputs, adapted)
            adapted = adapted._replace(past=after_sending(adapted.past, pending))
        at_begin = inputs._replace(begin=begin, pending=pending.new_zeros(len(pending), 0, pending.shape[2]))
        new_state, plan, report = super().__call__(adapted, state, at_begin, noise, settings, is_late)
        if pending.shape[1]:
            new_state = new_state._replace(last_action=pending[:, 0].clone(memory_format=torch.contiguous_format))
        return new_state, plan, report


def _failures() -> tuple[type[Exception], ...]:
    # the compiler takes long to import, so only who compiles does
    return torch._dynamo.exc.TorchDynamoException, torch._dynamo.exc.FailOnRecompileLimitHit


def _has_triton() -> bool:
    return torch.utils._triton.has_triton()
