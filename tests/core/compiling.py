"""A compiler for tests, which accepts only what is one graph and never waits for the device."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols


def without_waiting(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
    """A backend that refuses whatever depends on a value that only the device knows, and copies to the host."""
    for node in graph.graph.nodes:
        value = node.meta.get("example_value")
        assert value is None or not free_unbacked_symbols(value), f"{node} depends on values"
        assert node.target not in ("cpu", "numpy", "tolist"), f"{node} copies to the host"
    return graph.forward


@contextmanager
def one_graph_compiler() -> Iterator[Callable[[Callable], Callable]]:
    """The compiler, which forgets what it has compiled before and after."""
    torch.compiler.reset()
    try:
        yield functools.partial(torch.compile, fullgraph=True, backend=without_waiting)
    finally:
        torch.compiler.reset()
