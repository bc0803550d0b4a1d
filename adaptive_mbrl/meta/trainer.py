"""The outer loop: gradient steps on the post-adaptation query loss over windows of many tasks.

    minimise over meta-parameters   F over windows  [ L_query( u(recent), query ) + the rules' own terms ]

F is the mean, or weighs the training situations against each other in another way (`balancing`).

With the rule `none` the same network is fitted to the same windows without adaptation: the multi-task model, which is the
comparison that meta-learning has to beat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter, KnownSituations
from adaptive_mbrl.adaptation.belief import map_belief
from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.dataset import Dataset
from adaptive_mbrl.data.windows import Windows, concatenate
from adaptive_mbrl.errors import ConfigError, DivergenceError
from adaptive_mbrl.meta.balancing import BalancingConfig
from adaptive_mbrl.meta.balancing.mean import MeanConfig
from adaptive_mbrl.meta.distillation import distillation_loss
from adaptive_mbrl.meta.losses import multi_step_loss, one_step_loss_on_query, query_errors
from adaptive_mbrl.meta.observer import FitObserver
from adaptive_mbrl.predictor import Predictor
from adaptive_mbrl.process import SINGLE, Process, Share

REPORT_EVERY = 50
"""Outer steps between two reports of their mean loss."""


@dataclass(frozen=True)
class OuterConfig:
    """The outer loop.

    The defaults are cautious. The shipped configurations learn faster, with a query of 10 steps, a rate of 3e-3 that decays to
    0.03 of it, and bfloat16.

    Attributes:
        query: M, steps of the query.
        query_loss: what the loss is about: the `open_loop` prediction of the whole query, as a planner uses it, or `one_step`
            predictions from each of its true observations, as GrBAL was published.
        balancing: how training situations are weighed against each other: `mean`, `cvar`, `pcgrad`, `mgda`, `gradnorm` or
            `uncertainty`, each with its settings.
        distillation: weight of the KL divergence of predictions under the belief from those under the prior, per nat, which pulls
            both towards each other; 0 for none.
        meta_batch_size: windows per outer step.
        learning_rate: Adam's rate at the beginning of a fit.
        final_learning_rate_fraction: the rate decays along a cosine to this fraction over a fit.
        weight_decay: decoupled decay of the network's weights.
        gradient_clip: largest norm of the outer gradient; 0 does not clip.
        max_skipped_steps: how many outer steps of a fit may be skipped because their gradient is not finite; at the next one the
            training stops.
        precision: number format of matrix products while training; `bfloat16` is faster on processors that have it.
        validation_windows: how many windows of held-out episodes each validation uses.
    """

    query: int = bounded(8, low=1, high=100)
    query_loss: Literal["open_loop", "one_step"] = "open_loop"
    balancing: BalancingConfig = MeanConfig()
    distillation: float = bounded(0.0, low=0.0)
    meta_batch_size: int = bounded(128, low=1)
    learning_rate: float = bounded(1e-3, low=0.0)
    final_learning_rate_fraction: float = bounded(0.1, low=0.0, high=1.0)
    weight_decay: float = bounded(1e-5, low=0.0)
    gradient_clip: float = bounded(5.0, low=0.0)
    max_skipped_steps: int = bounded(10, low=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    validation_windows: int = bounded(512, low=1)


class MetaTrainer:
    """Owns the optimiser; trains an adapter of any kind.

    Args:
        adapter: what is trained.
        config: the outer loop.
        seed: fixes the order of the windows.
        device: where to train.
        process: this process among those that train together, each on its share of every meta-batch.

    Raises:
        ConfigError: there are more processes than windows, or situations of a balancing that draws those, in a meta-batch.
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
        self.generator = torch.Generator().manual_seed(seed)
        self.balancing = config.balancing.make(adapter).to(self.device)
        # what is drawn for one outer step: windows, or situations with several windows of each
        self._drawn = max(1, config.meta_batch_size // (self.balancing.windows_per_task or 1))
        if process.world_size > self._drawn:
            raise ConfigError(
                f"key 'outer.meta_batch_size': {config.meta_batch_size} windows make {self._drawn} shares at most, and there are "
                f"{process.world_size} processes; allowed: fewer processes, or more windows"
            )
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
        self.known: KnownSituations = ()

    def fit(
        self,
        dataset: Dataset,
        num_updates: int,
        observer: FitObserver = FitObserver(),  # noqa: B008
        *,
        fit_normalizer: bool = True,
        before: Tensor | None = None,
    ) -> dict[str, float]:
        """Take `num_updates` outer steps, or those of them that are left.

        Args:
            dataset: the windows to train on.
            num_updates: outer steps.
            observer: hears of the recent loss every `REPORT_EVERY` updates, and once per epoch (as many windows as there are) of
                what `gradient_conflict` returns.
            fit_normalizer: False keeps the statistics that the weights were trained with, also those of known parameters.
            before: the fit was interrupted, and this trainer is as it was then: what `FitObserver.updated` was called with last.

        Returns:
            Scalars at the end of the fit.

        Raises:
            DivergenceError: more gradients than `max_skipped_steps` were not finite; the weights are those before that step.
        """
        epoch = max(1, len(dataset) // self.config.meta_batch_size)
        self.adapter.train()
        refit = fit_normalizer and before is None
        if refit:
            self.adapter.normalizer.fit(dataset.statistics())
        self.known = dataset.known_parameters()[: dataset.num_tasks]
        self.adapter.know_situations(self.known, refit=refit)
        self.process.broadcast(self.adapter.buffers())
        # one tensor: small ones that stay, allocated between the large ones of each step, would fragment the memory
        losses = torch.zeros(num_updates, device=self.device)
        done = 0 if before is None else len(before)
        if before is not None:
            losses[:done] = before
        for update in range(done, num_updates):
            self._set_learning_rate(update / num_updates)
            try:
                losses[update] = self.step(*self._draw(dataset))
            except DivergenceError as error:
                losses[update] = torch.nan
                # where two in a row fail at the end, it is the weights that are broken
                at_end = update + 1 == num_updates and bool(losses[-2:].isnan().all())
                if at_end or int(losses.isnan().sum()) > self.config.max_skipped_steps:
                    raise DivergenceError(
                        f"training diverged: {error}; try a smaller outer.learning_rate", error.windows
                    ) from error
                observer.skipped(error)
            if (update + 1) % REPORT_EVERY == 0 or update + 1 == num_updates:
                recent = losses[max(0, update + 1 - REPORT_EVERY) : update + 1]
                observer.report(update + 1, {"train/query_loss": float(recent.nanmean())})
            if (update + 1) % epoch == 0:
                observer.report(update + 1, self.gradient_conflict(dataset))
            observer.updated(losses[: update + 1])
        self.adapter.eval()
        if num_updates == 0:
            return {}
        scalars = {"train/query_loss": float(losses[-max(1, num_updates // 10) :].nanmean())}
        skipped = int(losses.isnan().sum())
        return scalars | ({"train/skipped_steps": float(skipped)} if skipped else {})

    def step(self, windows: Windows, share: Share | None = None) -> Tensor:
        """One outer step.

        Args:
            windows: this process's.
            share: which windows of the meta-batch these are; if not given, each process has as many.

        Returns:
            The mean loss of the meta-batch before it, a scalar.

        Raises:
            DivergenceError: the gradient is not finite; weights, optimiser and balancing are those before the step.
        """
        self.optimizer.zero_grad(set_to_none=True)
        # a balancing's state moves with its backward pass, before anybody can know whether the step is taken
        balancing_before = {name: value.clone() for name, value in self.balancing.state_dict().items()}
        losses = self.loss(windows)
        share = share or self.process.share(len(losses) * self.process.world_size)
        loss = share.mean(losses.detach())
        self.balancing.backward(losses, windows.task, share)
        trained = (p for group in self.optimizer.param_groups for p in group["params"])
        self.process.reduce([loss, *(p.grad for p in trained if p.grad is not None)])
        norm = torch.nn.utils.clip_grad_norm_(self.adapter.parameters(), self.config.gradient_clip or math.inf)
        if not math.isfinite(norm):
            self.balancing.load_state_dict(balancing_before)
            raise DivergenceError(
                f"the gradient is not finite at update {self.updates_done} (loss {loss.item():.3g})", self._of_all(windows)
            )
        self.optimizer.step()
        self.updates_done += 1
        return loss

    def _draw(self, dataset: Dataset) -> tuple[Windows, Share]:
        """This process's windows of the next meta-batch."""
        share, per_task = self.process.share(self._drawn), self.balancing.windows_per_task
        if per_task == 0:
            return dataset.sample(self._drawn, self.generator, share.slice), share
        return dataset.sample_tasks(self._drawn, per_task, self.generator, share.slice), share.times(per_task)

    def _of_all(self, windows: Windows) -> Windows:
        """The windows of all processes, in order."""
        if self.process.world_size == 1:
            return windows
        return concatenate(self.process.gather(map_belief(lambda tensor: tensor.cpu(), windows)))

    def loss(self, windows: Windows) -> Tensor:
        """Post-adaptation loss of each window, (W,)."""
        with self._autocast():
            return self._loss_under(self.adapter.infer_in_training(windows), windows)

    def _loss_under(self, belief: Any, windows: Windows) -> Tensor:
        predictor = self.adapter.condition(belief)
        loss = self._query_loss(predictor, windows)
        if self.config.distillation > 0:
            prior = self.adapter.condition(self.adapter.prior(len(windows.obs)))
            loss = loss + self.config.distillation * distillation_loss(predictor, prior, windows, self.adapter.normalizer)
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
        size, generator = self.config.meta_batch_size, torch.Generator().manual_seed(self.updates_done)
        share = self.process.share(size)
        windows = dataset.sample(size, generator, share.slice)
        parameters = [p for p in self.adapter.parameters() if p.requires_grad]

        def flat_gradient(loss: Tensor) -> Tensor:
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            return torch.cat(
                [(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(gradients, parameters, strict=True)]
            )

        adapted = flat_gradient(share.mean(self.loss(windows)))
        with self._autocast():
            prior_loss = share.mean(self._loss_under(self.adapter.prior(len(windows.obs)), windows))
        prior = flat_gradient(prior_loss)
        self.process.reduce([adapted, prior])
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
