"""What is measured: a case is one setting of network, planner and rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from adaptive_mbrl.adaptation import Rules
from adaptive_mbrl.adaptation.bayes_linear import BayesLinearConfig
from adaptive_mbrl.adaptation.context import ContextConfig
from adaptive_mbrl.adaptation.gauss_newton import GaussNewtonConfig
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.adaptation.latent import LatentConfig
from adaptive_mbrl.adaptation.none import NoneConfig
from adaptive_mbrl.adaptation.recurrent import RecurrentConfig
from adaptive_mbrl.adaptation.transformer import TransformerConfig
from adaptive_mbrl.control.compiled import CompileMode
from adaptive_mbrl.control.step import PRECISIONS, Precision
from adaptive_mbrl.options.bench import Sweep

VALUES: dict[Sweep, tuple[int, ...]] = {
    "samples": (32, 64, 128, 256, 512, 1024, 2048, 4096),
    "horizon": (5, 10, 20, 40, 80, 160),
    "width": (32, 64, 128, 256, 512, 1024),
    "members": (1, 2, 3, 5, 10),
    "batch": (1, 4, 16, 64),
}
"""The values of a setting that is varied."""
RULES: dict[str, Rules] = {
    "none": (NoneConfig(),),
    "gradient, 2 steps": (GradientConfig(steps=2),),
    "gauss_newton": (GaussNewtonConfig(),),
    "context": (ContextConfig(),),
    "latent": (LatentConfig(),),
    "recurrent": (RecurrentConfig(),),
    "transformer": (TransformerConfig(),),
    "bayes_linear": (BayesLinearConfig(),),
    "context, then bayes_linear": (ContextConfig(), BayesLinearConfig()),
}
"""The rules whose time to adapt is measured."""


@dataclass(frozen=True)
class Case:
    """A controller with random weights, whose time depends on its shapes alone.

    Attributes:
        samples: N, candidates.
        horizon: H, control steps.
        width: of each hidden layer.
        layers: number of hidden layers.
        members: E, networks of the ensemble.
        batch: B, robots that are controlled at once.
        window: K, recent transitions.
        precision: number format of the planner's predictions.
        rule: name of the rule in `RULES`.
        compile: whether the control step is compiled, see `adaptive_mbrl.control.compiled`.
        gate: whether beliefs from more and fewer transitions compete, which adapts several beliefs at every step.
    """

    samples: int = 256
    horizon: int = 20
    width: int = 256
    layers: int = 3
    members: int = 1
    batch: int = 1
    window: int = 16
    precision: Precision = "float32"
    rule: str = "gradient, 2 steps"
    compile: CompileMode = "off"
    gate: bool = True


def planning_cases(sweeps: Sequence[Sweep], mode: CompileMode = "off") -> list[Case]:
    """The base case and those in which one setting differs from it, each in both precisions; each case once."""
    base = Case(compile=mode)
    varied = [_with(base, name, value) for name in sweeps for value in VALUES[name]]
    return [replace(case, precision=precision) for precision in PRECISIONS for case in dict.fromkeys([base, *varied])]


def _with(case: Case, name: Sweep, value: int) -> Case:
    changed: dict[str, Any] = {name: value}
    return replace(case, **changed)


def adapting_cases(mode: CompileMode = "off") -> list[Case]:
    """Every rule with three networks and a window of 32 transitions, alone and with the gate; plans are as small as can be."""
    small = Case(samples=2, horizon=1, members=3, window=32, compile=mode)
    return [replace(small, rule=rule, gate=gate) for rule in RULES for gate in (False, True)]
