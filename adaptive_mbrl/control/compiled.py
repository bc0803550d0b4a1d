"""The control step compiled for this machine, or as it stands where it cannot be.

A compiler (`torch.compile`) makes a few kernels of hundreds of operations, which matters most where tensors are small. The first
step of each shape then takes seconds to minutes. What was compiled is kept on disk, so that it is found again by the next start:
`TORCHINDUCTOR_CACHE_DIR` says where, by default a folder of the user's in the folder for temporary files.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from typing import Any

import torch

from adaptive_mbrl.control.step import StepHalves
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning.base import CompileMode

_LOG = logging.getLogger(__name__)
COMPILERS = ("g++", "c++", "clang++")


def obstacle(device: torch.device, mode: CompileMode = "auto") -> str:
    """Why the control step cannot be compiled for a device on this machine; empty if it can."""
    if mode == "cudagraph" and device.type != "cuda":
        return "CUDA graphs need a GPU"
    if device.type == "cuda":
        return "" if _has_triton() else "the package triton is missing"
    wanted = os.environ.get("CXX", "")
    if any(shutil.which(name) for name in (wanted, *COMPILERS) if name):
        return ""
    return f"there is no C++ compiler ({', '.join(COMPILERS)}, or what CXX names)"


def step_halves(mode: CompileMode, device: torch.device) -> StepHalves:
    """The halves of the control step, in one of the ways of `HorizonConfig.compile`.

    Raises:
        ConfigError: the mode is not `auto`, and this machine cannot compile.
    """
    if mode == "off":
        return StepHalves()
    why_not = obstacle(device, mode)
    if why_not:
        if mode == "auto":
            return StepHalves()
        raise ConfigError(f"planner: key 'compile': '{mode}' is not possible here: {why_not}; allowed: auto, off")
    captures = mode == "cudagraph" or (mode == "auto" and device.type == "cuda")
    return StepHalves(*(_Compiled(half, captures, must=mode != "auto") for half in StepHalves()))


class _Compiled:
    """A function that is compiled when it is first called, and again for arguments of other shapes.

    Args:
        function: what is compiled, as one graph.
        captures: whether its kernels are launched together, as a CUDA graph.
        must: whether a failure is an error; otherwise the function is used as it stands from then on.
    """

    def __init__(self, function: Callable[..., Any], captures: bool, *, must: bool) -> None:
        self._function, self._captures, self._must = function, captures, must
        mode = "reduce-overhead" if captures else None
        self._compiled: Callable[..., Any] | None = torch.compile(function, fullgraph=True, mode=mode)

    def __call__(self, *args: Any) -> Any:
        if self._compiled is None:
            return self._function(*args)
        try:
            if not self._captures:
                return self._compiled(*args)
            # what a CUDA graph returns lies where its next launch writes
            torch.compiler.cudagraph_mark_step_begin()
            return torch.utils._pytree.tree_map_only(torch.Tensor, torch.clone, self._compiled(*args))
        except torch._dynamo.exc.TorchDynamoException as error:
            reason = " ".join(line.strip() for line in str(error).strip().splitlines()[:2])
            if self._must:
                raise ConfigError(f"planner: key 'compile': {self._function.__name__} cannot be compiled: {reason}") from error
            _LOG.warning("the control step is not compiled: %s: %s", self._function.__name__, reason)
            self._compiled = None
            return self._function(*args)


def _has_triton() -> bool:
    return torch.utils._triton.has_triton()
