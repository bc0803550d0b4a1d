"""Fits a diagnosis to windows whose dynamics are known, for example from simulated scenarios. The adapter is not changed.

Three sets of windows take part, which should share no situation: the network is fitted to the first one; the second one says when
to stop, and calibrates; what a third one says of it (`accuracy`) is then honest.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import Belief
from adaptive_mbrl.diagnosis import Diagnosis, DiagnosisConfig, Estimate, flattened, size_of
from adaptive_mbrl.errors import ConfigError, DivergenceError
from adaptive_mbrl.transitions import Transitions

_CHUNK = 256
_SCALE_WINDOWS = 4096
_ROWS_PER_DIRECTION = 4
_CHECK_EVERY = 100


class Examples(NamedTuple):
    """W windows and what is known of their dynamics.

    Attributes:
        recent: K transitions each, all valid ones under the same dynamics, (W, K, ...).
        labels: the parameters, (W, L).
    """

    recent: Transitions
    labels: Tensor

    def rows(self, rows: slice) -> Examples:
        """Some of the windows."""
        return Examples(self.recent.rows(rows), self.labels[rows])

    def to(self, device: torch.device | str) -> Examples:
        """The same windows on a device."""
        return Examples(Transitions(*(x.to(device) for x in self.recent)), self.labels.to(device))


class Accuracy(NamedTuple):
    """How good a diagnosis of one parameter is, over some windows.

    Attributes:
        name: the parameter.
        rms_error: of the mean.
        label_std: the same error if one always said the mean of these windows.
        mean_std: the standard deviation that was stated, on average.
        coverage: share of the windows whose label is within two stated standard deviations; 0.95 for a Gaussian.
    """

    name: str
    rms_error: float
    label_std: float
    mean_std: float
    coverage: float


def fit_diagnosis(
    adapter: Adapter[Any], config: DiagnosisConfig, fitting: Examples, calibrating: Examples, seed: int = 0
) -> Diagnosis:
    """A diagnosis of an adapter's beliefs.

    Args:
        adapter: makes the beliefs; its device is used.
        config: names of the labels, shape and fit.
        fitting: windows to fit to, with any number of valid transitions from none on, in no order.
        calibrating: others.
        seed: fixes initial weights and the order of the windows.

    Raises:
        ConfigError: there is nothing to read in the adapter's beliefs.
        DivergenceError: a belief or the fit is not finite.
    """
    size = size_of(adapter.prior(1))
    if not size:
        raise ConfigError("the checkpoint does not adapt: its belief is empty, so that nothing can be read out of it")
    diagnosis = Diagnosis(config, size, seed).to(fitting.labels.device)
    # a large belief is kept for as many windows only as its main directions need
    scale_windows = _SCALE_WINDOWS if diagnosis.projection is None else _ROWS_PER_DIRECTION * config.features
    some = torch.cat([flattened(belief) for belief, _ in _beliefs(adapter, fitting.rows(slice(scale_windows)).recent)])
    diagnosis.fit_scale(_finite(some, "beliefs"), fitting.labels)
    features, wanted = _features(diagnosis, adapter, fitting), _standardised(diagnosis, fitting.labels)
    others, others_wanted = _features(diagnosis, adapter, calibrating), _standardised(diagnosis, calibrating.labels)
    _fit(diagnosis, (features, wanted), (others, others_wanted), seed)
    with torch.no_grad():
        mean, log_std = diagnosis.standardised(others)
        ratio = ((others_wanted - mean) / log_std.exp()).square().mean(0).sqrt()
        diagnosis.calibration.copy_(ratio.clamp(0.1, 10.0))
    return diagnosis.eval().requires_grad_(False)


@torch.no_grad()
def estimates(diagnosis: Diagnosis, adapter: Adapter[Any], recent: Transitions) -> Estimate:
    """What is read out of the beliefs about W windows of transitions, which are known to the adapter by nothing else."""
    parts = [diagnosis(*pair) for pair in _beliefs(adapter, recent)]
    return Estimate(*(torch.cat(field) for field in zip(*parts, strict=True)))


def accuracy(diagnosis: Diagnosis, adapter: Adapter[Any], examples: Examples) -> list[Accuracy]:
    """How good it is on windows, parameter by parameter."""
    found, labels = estimates(diagnosis, adapter, examples.recent), examples.labels
    error = found.mean - labels
    columns = (
        error.square().mean(0).sqrt(),
        labels.std(0, correction=0),
        found.std.mean(0),
        (error.abs() <= 2 * found.std).float().mean(0),
    )
    return [Accuracy(name, *values) for name, *values in zip(diagnosis.names, *(c.tolist() for c in columns), strict=True)]


def _fit(diagnosis: Diagnosis, fitting: tuple[Tensor, Tensor], others: tuple[Tensor, Tensor], seed: int) -> None:
    """Gradient steps on the likelihood; the weights that are best on the other windows are kept."""
    config, generator = diagnosis.config, torch.Generator().manual_seed(seed)
    features, wanted = fitting
    optimizer = torch.optim.AdamW(diagnosis.net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    best, kept = float("inf"), copy.deepcopy(diagnosis.net.state_dict())
    for update in range(1, config.updates + 1):
        rows = torch.randint(len(wanted), (config.batch_size,), generator=generator).to(wanted.device)
        optimizer.zero_grad(set_to_none=True)
        _loss(diagnosis, features[rows], wanted[rows]).backward()
        optimizer.step()
        if update % _CHECK_EVERY == 0 or update == config.updates:
            with torch.no_grad():
                loss = float(_finite(_loss(diagnosis, *others), "likelihoods"))
            if loss < best:
                best, kept = loss, copy.deepcopy(diagnosis.net.state_dict())
    diagnosis.net.load_state_dict(kept)


def _loss(diagnosis: Diagnosis, features: Tensor, wanted: Tensor) -> Tensor:
    """Gaussian negative log-likelihood, over all windows and parameters."""
    mean, log_std = diagnosis.standardised(features)
    return (0.5 * ((wanted - mean) / log_std.exp()).square() + log_std).mean()


def _standardised(diagnosis: Diagnosis, labels: Tensor) -> Tensor:
    return (labels - diagnosis.label_mean) / diagnosis.label_std


@torch.no_grad()
def _features(diagnosis: Diagnosis, adapter: Adapter[Any], examples: Examples) -> Tensor:
    parts = [diagnosis.features(*pair) for pair in _beliefs(adapter, examples.recent)]
    return _finite(torch.cat(parts), "beliefs")


@torch.no_grad()
def _beliefs(adapter: Adapter[Any], recent: Transitions) -> Iterator[tuple[Belief, Tensor]]:
    """Beliefs, and the numbers of transitions that they are from, chunk by chunk."""
    for begin in range(0, len(recent.obs), _CHUNK):
        chunk = recent.rows(slice(begin, begin + _CHUNK))
        yield adapter.infer(chunk), chunk.valid.sum(1)


def _finite(values: Tensor, words: str) -> Tensor:
    if not bool(values.isfinite().all()):
        raise DivergenceError(f"diagnosis: {words} of its fit are not finite")
    return values
