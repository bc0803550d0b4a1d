"""A function of tensors as plain operations, which `torch.export` and files can hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx


def traced(function: Callable[..., Any], *examples: Any, rewritten: Sequence[Any] = ()) -> GraphModule:
    """Record the operations of a function, for arguments of the shapes of the examples.

    Derivatives within it become operations like others.

    Args:
        function: what is recorded; a function of tensors, and of lists of tensors.
        examples: its arguments.
        rewritten: operations that are to be written with others.
    """
    table: Any = torch._decomp.get_decompositions(rewritten)
    found = make_fx(function, table, tracing_mode="fake", _allow_non_fake_inputs=True)(*examples)
    # what nothing uses, such as parts of nothing, could not be read back from a file
    found.graph.eliminate_dead_code()
    found.recompile()
    # otherwise what is kept from call to call would remember how it came about
    found.requires_grad_(False)
    return found
