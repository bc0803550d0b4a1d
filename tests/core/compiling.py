"""A compiler for tests, which accepts only what is one graph and never waits for the device."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols

from tests.core.analytic import TINY_PLANNER

TRACED_PLANNER = dataclasses.replace(TINY_PLANNER, horizon=2, num_iterations=1)
"""A compiler unrolls horizon and iterations, so that many take long to trace; test_control_step.py traces more iterations."""


class OneGraphCompiler:
    """Compiles functions, and counts the graphs that it made."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, function: Callable) -> Callable:
        return torch.compile(function, fullgraph=True, backend=self.without_waiting)

    def without_waiting(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
        """A backend that refuses whatever depends on a value that only the device knows, and copies to the host."""
        for node in graph.graph.nodes:
            value = node.meta.get("example_value")
            assert value is None or not free_unbacked_symbols(value), f"{node} depends on values"
            assert node.target not in ("cpu", "numpy", "tolist"), f"{node} copies to the host"
        self.graphs += 1
        return graph.forward


@contextmanager
def one_graph_compiler() -> Iterator[OneGraphCompiler]:
    """The compiler; what was compiled before and after is forgotten."""
    torch.compiler.reset()
    try:
        yield OneGraphCompiler()
    finally:
        torch.compiler.reset()
