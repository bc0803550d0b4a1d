"""The outer loop: gradient steps on the post-adaptation query loss over windows of many tasks.

    minimise over meta-parameters   F over windows  [ L_query( u(recent), query ) + the rules' own terms ]

F is the mean, or weighs the training situations against each other in another way (`balancing`).

With the rule `none` the same network is fitted to the same windows without adaptation: the multi-task model, which is the
comparison that meta-learning has to beat.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.dataset import Dataset
from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.errors import DivergenceError
from adaptive_mbrl.meta.balancing import BalancingConfig
from adaptive_mbrl.meta.balancing.mean import MeanConfig
from adaptive_mbrl.meta.losses import multi_step_loss, one_step_loss_on_query, query_errors
from adaptive_mbrl.predictor import Predictor
from adaptive_mbrl.process import SINGLE, Process

Report = Callable[[int, dict[str, float]], None]

REPORT_EVERY = 50
"""Outer steps between two reports of their mean loss."""


@dataclass(frozen=True)
class OuterConfig:
    """The outer loop.

    Attributes:
        query: M, steps of the query.
        query_loss: what the loss is about: the `open_loop` prediction of the whole query, as a planner uses it, or `one_step`
            predictions from each of its true observations, as GrBAL was published.
        balancing: how training situations are weighed against each other: `mean`, `cvar`, `pcgrad`, `mgda`, `gradnorm` or
            `uncertainty`, each with its settings.
        meta_batch_size: windows per outer step.
        learning_rate: Adam's rate at the beginning of a fit.
        final_learning_rate_fraction: the rate decays along a cosine to this fraction over a fit.
        weight_decay: decoupled decay of the network's weights.
        gradient_clip: largest norm of the outer gradient; 0 does not clip.
        precision: number format of matrix products while training; `bfloat16` is faster on processors that have it.
        validation_windows: how many windows of held-out episodes each validation uses.
    """

    query: int = bounded(8, low=1, high=100)
    query_loss: Literal["open_loop", "one_step"] = "open_loop"
    balancing: BalancingConfig = MeanConfig()
    meta_batch_size: int = bounded(128, low=1)
    learning_rate: float = bounded(1e-3, low=0.0)
    final_learning_rate_fraction: float = bounded(0.1, low=0.0, high=1.0)
    weight_decay: float = bounded(1e-5, low=0.0)
    gradient_clip: float = bounded(5.0, low=0.0)
    precision: Literal["float32", "bfloat16"] = "float32"
    validation_windows: int = bounded(512, low=1)


class MetaTrainer:
    """Owns the optimiser; trains an adapter of any kind.

    Args:
        adapter: what is trained.
        config: the outer loop.
        seed: fixes the order of the windows.
        device: where to train.
        process: this process among those that train together.
    """

    def __init__(
        self,
        adapter: Adapter[Any],
        config: OuterConfig,
        seed: int = 0,
        device: torch.device | str = "cpu",
        process: Process = SINGLE,
    ) -> None:
        self.config, self.device, self.process = config, torch.device(device), process
        self.adapter = adapter.to(self.device)
        process.broadcast(self.adapter.state_dict().values())
        self.generator = torch.Generator().manual_seed(seed + process.rank)
        self.balancing = config.balancing.make(adapter).to(self.device)
        groups = [
            {
                "params": group.parameters,
                "lr": config.learning_rate if group.learning_rate is None else group.learning_rate,
                "weight_decay": config.weight_decay if group.decay else 0.0,
            }
            for group in [*adapter.parameter_groups(), *self.balancing.parameter_groups()]
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
        self._base_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.updates_done = 0

    def fit(
        self,
        dataset: Dataset,
        num_updates: int,
        report: Report = lambda updates, scalars: None,
        *,
        fit_normalizer: bool = True,
    ) -> dict[str, float]:
        """Take `num_updates` outer steps.

        Args:
            dataset: the windows to train on.
            num_updates: outer steps.
            report: called with the updates done in this fit and scalars: the recent loss every `REPORT_EVERY` updates, and once
                per epoch (as many windows as there are) what `gradient_conflict` returns.
            fit_normalizer: False keeps the statistics that the weights were trained with.

        Returns:
            Scalars at the end of the fit.

        Raises:
            DivergenceError: a gradient is not finite; the weights are those before that step.
        """
        epoch = max(1, len(dataset) // self.config.meta_batch_size)
        self.adapter.train()
        if fit_normalizer:
            self.adapter.normalizer.fit(dataset.statistics())
            self.process.broadcast(self.adapter.normalizer.buffers())
        # one tensor: small ones that stay, allocated between the large ones of each step, would fragment the memory
        losses = torch.zeros(num_updates, device=self.device)
        for update in range(num_updates):
            self._set_learning_rate(update / num_updates)
            losses[update] = self.step(self._draw(dataset))
            if (update + 1) % REPORT_EVERY == 0 or update + 1 == num_updates:
                recent = losses[max(0, update + 1 - REPORT_EVERY) : update + 1]
                report(update + 1, {"train/query_loss": float(recent.mean())})
            if (update + 1) % epoch == 0:
                report(update + 1, self.gradient_conflict(dataset))
        self.adapter.eval()
        if num_updates == 0:
            return {}
        return {"train/query_loss": float(losses[-max(1, num_updates // 10) :].mean())}

    def step(self, windows: Windows) -> Tensor:
        """One outer step.

        Returns:
            The mean loss before it, a scalar.

        Raises:
            DivergenceError: the gradient is not finite; weights, optimiser and balancing are those before the step.
        """
        self.optimizer.zero_grad(set_to_none=True)
        # a balancing's state moves with its backward pass, before anybody can know whether the step is taken
        balancing_before = {name: value.clone() for name, value in self.balancing.state_dict().items()}
        losses = self.loss(windows)
        loss = losses.detach().mean()
        self.balancing.backward(losses, windows.task)
        trained = (p for group in self.optimizer.param_groups for p in group["params"])
        self.process.reduce(p.grad for p in trained if p.grad is not None)
        norm = torch.nn.utils.clip_grad_norm_(self.adapter.parameters(), self.config.gradient_clip or math.inf)
        if not math.isfinite(norm):
            self.balancing.load_state_dict(balancing_before)
            raise DivergenceError(
                f"training diverged at update {self.updates_done} (loss {loss.item():.3g}); try a smaller outer.learning_rate",
                windows,
            )
        self.process.reduce(state for state in self.balancing.buffers() if state.is_floating_point())
        self.optimizer.step()
        self.updates_done += 1
        return loss

    def _draw(self, dataset: Dataset) -> Windows:
        per_task = self.balancing.windows_per_task
        if per_task == 0:
            return dataset.sample(self.config.meta_batch_size, self.generator)
        return dataset.sample_tasks(max(1, self.config.meta_batch_size // per_task), per_task, self.generator)

    def loss(self, windows: Windows) -> Tensor:
        """Post-adaptation loss of each window, (W,)."""
        with self._autocast():
            return self._loss_under(self.adapter.infer_in_training(windows), windows)

    def _loss_under(self, belief: Any, windows: Windows) -> Tensor:
        loss = self._query_loss(self.adapter.condition(belief), windows)
        return sum(self.adapter.loss_terms(belief, windows).values(), start=loss)

    def _query_loss(self, predictor: Predictor, windows: Windows) -> Tensor:
        loss = one_step_loss_on_query if self.config.query_loss == "one_step" else multi_step_loss
        return loss(predictor, windows)

    def validate(self, dataset: Dataset) -> dict[str, float]:
        """Post-adaptation and prior loss on held-out windows, and the model error along the horizon; empty without any."""
        windows = dataset.held_out(self.config.validation_windows)
        if windows is None:
            return {}
        self.adapter.eval()
        with torch.no_grad(), self._autocast():
            beliefs = {"adapted": self.adapter.infer(windows.recent), "prior": self.adapter.prior(len(windows.obs))}
            scalars: dict[str, float] = {}
            for name, belief in beliefs.items():
                scalars |= self._scores(name, self.adapter.condition(belief), windows)
        return scalars

    def _scores(self, name: str, predictor: Predictor, windows: Windows) -> dict[str, float]:
        errors = query_errors(predictor, windows).mean(0).square().mean(-1).sqrt()
        scores = {f"validation/{name}_loss": float(self._query_loss(predictor, windows).mean())}
        for step in sorted({1, 5, 10, self.config.query} & set(range(1, self.config.query + 1))):
            scores[f"validation/{name}_error_{step}_steps"] = float(errors[:, step - 1].mean())
        return scores

    def gradient_conflict(self, dataset: Dataset) -> dict[str, float]:
        """Norms of the gradients of the loss after and without adapting, at the present parameters, and their cosine."""
        windows = dataset.sample(self.config.meta_batch_size, torch.Generator().manual_seed(self.updates_done))
        parameters = [p for p in self.adapter.parameters() if p.requires_grad]

        def flat_gradient(loss: Tensor) -> Tensor:
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            return torch.cat(
                [(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(gradients, parameters, strict=True)]
            )

        adapted = flat_gradient(self.loss(windows).mean())
        with self._autocast():
            prior_loss = self._loss_under(self.adapter.prior(len(windows.obs)), windows).mean()
        prior = flat_gradient(prior_loss)
        cosine = torch.nn.functional.cosine_similarity(adapted, prior, dim=0)
        return {
            "gradient/adapted_norm": float(adapted.norm()),
            "gradient/prior_norm": float(prior.norm()),
            "gradient/cosine": float(cosine),
        }

    def _autocast(self) -> torch.autocast:
        enabled = self.config.precision == "bfloat16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled)

    def _set_learning_rate(self, fraction: float) -> None:
        floor = self.config.final_learning_rate_fraction
        scale = floor + (1 - floor) * 0.5 * (1 + math.cos(fraction * math.pi))
        for group, rate in zip(self.optimizer.param_groups, self._base_rates, strict=True):
            group["lr"] = rate * scale
