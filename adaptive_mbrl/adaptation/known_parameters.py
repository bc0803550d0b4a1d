"""Known parameters in training, predicted at run time: RMA (Kumar et al. 2021, arXiv 2107.04034), for dynamics.

In training the parameters p of a window's situation may be known: gains, masses, the slope of the floor. A teacher encodes them,
a student has to find the same code in the recent transitions D, and the code modulates the network's input:

    z* = teacher(p),   z = student(D),   L = L_query(z*) + teaching * mean_i (z_i - stop_gradient(z*)_i)^2

Teacher and network learn from the query, the student learns from the teacher. The student is the encoder of `context`, and all
that is used at run time, where z is the belief. A share of the windows is predicted under the prior z = 0 instead, which nothing
else would train. Where p is not known, z takes the place of z*: the student learns from the query, as in `context`.

RMA trains in two phases, a policy with its teacher first and then the student, on data that its own errors have led to. Here both
learn at once, each from the present state of the other; the rounds of a training collect under the student.

A situation is described by numbers with names, whatever they mean. Each name has a column of its own, which remembers the name by
its hash, so that other data fits the same weights. The teacher sees of each column whether the situation has that number, and the
number itself, standardised: which number stands for the nominal robot need not be known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adaptive_mbrl.adaptation.attention_encoder import CodeBelief
from adaptive_mbrl.adaptation.base import KnownSituations
from adaptive_mbrl.adaptation.context import ContextConfig, ContextRule
from adaptive_mbrl.adaptation.prior_share import rows_under_prior
from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.model import DynamicsModel
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError

MAX_NUMBER = 10.0
"""Standardised numbers are clamped at this, so that one unlike all others does not drive the code far away."""
_FIRST_STD = 0.3  # initial weights of the teacher's first layer
_LEAST_SPREAD = 1e-6  # std of numbers that vary, in proportion to their mean


@dataclass(frozen=True)
class KnownParametersConfig(ContextConfig):
    """The student, which has the settings of `context`, and the teacher.

    Attributes:
        parameters: the largest number of different parameters that situations may be described by.
        teaching: weight of the student's loss.
        prior_share: share of each meta-batch's windows that are predicted under the prior, rounded up to whole windows; it leaves
            out those whose parameters are not known.
    """

    TAG: ClassVar[str] = "known_parameters"

    parameters: int = bounded(128, low=1, high=4096)
    teaching: float = bounded(1.0, low=0.0)
    prior_share: float = bounded(0.1, low=0.0, high=0.5)

    def make(self, model: DynamicsModel, window: int) -> KnownParametersRule:
        """The rule for a model, whatever the window."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return KnownParametersRule(model, self)


class KnownParametersRule(ContextRule):
    """An encoder of the window that is taught by an encoder of the true parameters.

    Args:
        model: gives the sizes.
        config: student and teacher.

    Raises:
        ConfigError: the code could change nothing.
    """

    config: KnownParametersConfig
    names: Tensor
    number_mean: Tensor
    number_std: Tensor
    situations: Tensor
    is_known: Tensor

    def __init__(self, model: DynamicsModel, config: KnownParametersConfig) -> None:
        super().__init__(model, config)
        hidden, columns = config.hidden, config.parameters
        first = nn.Linear(2 * columns, hidden)
        # only a few of its inputs are not zero at a time
        nn.init.normal_(first.weight, std=_FIRST_STD)
        self.teacher = nn.Sequential(first, nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, config.code_dim))
        self.register_buffer("names", torch.zeros(columns, dtype=torch.int64))
        self.register_buffer("number_mean", torch.zeros(columns))
        self.register_buffer("number_std", torch.ones(columns))
        # no part of a checkpoint: heard anew before each fit
        self.register_buffer("situations", torch.zeros(1, 2 * columns), persistent=False)
        self.register_buffer("is_known", torch.zeros(1, dtype=torch.bool), persistent=False)
        self._all_known = False

    def know_situations(self, known: KnownSituations, *, refit: bool) -> None:
        """See `Adapter.know_situations`; parameters that were never heard of get their statistics in any case.

        Raises:
            ConfigError: there are more different parameters than columns.
        """
        columns = self._columns(known)
        numbers = np.full((len(known), len(self.names)), np.nan)
        for row, situation in zip(numbers, known, strict=True):
            for name, number in (situation or {}).items():
                row[columns[name]] = number
        for name, column in columns.items():
            if refit or self.names[column] == 0:
                self._fit_statistics(column, numbers[:, column])
            self.names[column] = _identity(name)
        table = torch.from_numpy(numbers)
        mean, std = (of.cpu().double() for of in (self.number_mean, self.number_std))
        scaled = ((table - mean) / std).clamp(-MAX_NUMBER, MAX_NUMBER)
        self.situations = torch.cat([~table.isnan(), scaled.nan_to_num(0.0)], 1).to(self.number_mean)
        self.is_known = torch.tensor([situation is not None for situation in known], device=self.names.device)
        self._all_known = None not in known

    def _columns(self, known: KnownSituations) -> Mapping[str, int]:
        """The column of each parameter; one that was never heard of takes the next free column."""
        taken = {identity: column for column, identity in enumerate(self.names.tolist()) if identity}
        names = dict.fromkeys(name for situation in known for name in situation or ())
        columns = {name: taken.setdefault(_identity(name), len(taken)) for name in names}
        if len(taken) > len(self.names):
            raise ConfigError(
                f"key 'adaptation.known_parameters.parameters': {len(self.names)}; the situations of the episodes are described "
                f"by {len(taken)} different parameters; allowed: at least so many"
            )
        return columns

    def _fit_statistics(self, column: int, numbers: NDArray[np.float64]) -> None:
        """Take mean and std of a parameter's numbers, (T,), NaN for situations that do not have it."""
        mean, std = float(np.nanmean(numbers)), float(np.nanstd(numbers))
        self.number_mean[column] = mean
        # a number that never varies says no more than that it is there
        self.number_std[column] = std if std > _LEAST_SPREAD * abs(mean) else 1.0

    def taught(self, task: Tensor) -> Tensor:
        """The teacher's codes of situations, (W, code_dim); they mean nothing where it does not know them.

        Args:
            task: numbers of the situations as in `Windows.task`, (W,).
        """
        return self.teacher(self.situations[task.clamp_max(len(self.situations) - 1)])

    def knows(self, task: Tensor) -> Tensor:
        """Whether the parameters of situations are known, (W,) bool; `task` as in `taught`."""
        last = len(self.is_known) - 1
        return self.is_known[task.clamp_max(last)] & (task <= last)

    def infer_known(self, windows: Windows, base: NetworkPredictor) -> CodeBelief:
        """The belief of one who knows the parameters: the teacher's, and the student's where they are not known."""
        taught = self.taught(windows.task)
        if self._all_known:
            return CodeBelief(taught)
        found = self.infer(windows.recent, base).code
        return CodeBelief(torch.where(self.knows(windows.task)[:, None], taught, found))

    def infer_in_training(self, windows: Windows, base: NetworkPredictor) -> CodeBelief:
        """As `infer_known`, and the prior for some of the windows whose parameters are known."""
        code = self.infer_known(windows, base).code
        under_prior = self.knows(windows.task) & rows_under_prior(len(code), self.config.prior_share, code.device)
        return CodeBelief(torch.where(under_prior[:, None], 0.0, code))

    def loss_terms(self, belief: CodeBelief, windows: Windows, base: NetworkPredictor) -> dict[str, Tensor]:
        """`teaching`: by how much the student misses the teacher's code; and `backward` as in `context`."""
        missed = (self.infer(windows.recent, base).code - self.taught(windows.task).detach()).square().mean(1)
        distillation = self.config.teaching * torch.where(self.knows(windows.task), missed, 0.0)
        return super().loss_terms(belief, windows, base) | {"teaching": distillation}


def _identity(name: str) -> int:
    """A number for a name, the same in every process; zero stands for no name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1
