"""The outer loop: gradient steps on the post-adaptation query loss over windows of many tasks.

    minimise over meta-parameters   mean over windows  L_query( u(recent), query )

With `outer: multitask` the same network is fitted to the same windows without adaptation, which is the comparison that
meta-learning has to beat.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from adaptive_mbrl.adaptation import AdaptationConfig, make_adapter
from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.config import bounded
from adaptive_mbrl.data.windows import Windows, WindowSampler
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig, Parameters
from adaptive_mbrl.errors import AdaptiveMBRLError
from adaptive_mbrl.meta.losses import multi_step_loss, query_errors, variance_loss
from adaptive_mbrl.spec import RobotSpec

Report = Callable[[int, dict[str, float]], None]

REPORT_EVERY = 50
"""Outer steps between two looks at the loss; looking waits for the device."""


@dataclass(frozen=True)
class OuterConfig:
    """The outer loop.

    Attributes:
        outer: `meta`: post-adaptation loss; `multitask`: plain regression on the same windows, no adaptation.
        query: M, steps of the query; the loss is over the open-loop rollout of all of them.
        meta_batch_size: windows per outer step.
        learning_rate: of Adam.
        step_size_learning_rate: of Adam for meta-learned inner step sizes, which live on a log scale.
        final_learning_rate_fraction: the rate decays along a cosine to this fraction over a fit.
        weight_decay: of the network's weights (decoupled).
        gradient_clip: largest norm of the outer gradient; 0 does not clip.
        precision: of matrix products while training; `bfloat16` is faster on processors that have it.
        validation_windows: how many windows of held-out episodes each validation uses.
    """

    outer: Literal["meta", "multitask"] = "meta"
    query: int = bounded(8, low=1, high=100)
    meta_batch_size: int = bounded(128, low=1)
    learning_rate: float = bounded(1e-3, low=0.0)
    step_size_learning_rate: float = bounded(1e-2, low=0.0)
    final_learning_rate_fraction: float = bounded(0.1, low=0.0, high=1.0)
    weight_decay: float = bounded(1e-5, low=0.0)
    gradient_clip: float = bounded(5.0, low=0.0)
    precision: Literal["float32", "bfloat16"] = "float32"
    validation_windows: int = bounded(512, low=1)


class MetaTrainer:
    """Owns the adapter and the optimiser.

    Args:
        spec: the robot.
        model: shape of the dynamics model.
        adaptation: the rule; none for `outer: multitask`.
        outer: the outer loop.
        seed: of initial weights and window sampling.
        device: where to train.
    """

    def __init__(
        self,
        spec: RobotSpec,
        model: ModelConfig,
        adaptation: AdaptationConfig,
        outer: OuterConfig,
        seed: int,
        device: torch.device,
    ) -> None:
        self.config = outer
        self.device = device
        self.adapter: Adapter[Any] = make_adapter(DynamicsModel(spec, model, seed), adaptation).to(device)
        self.generator = torch.Generator().manual_seed(seed)
        self.optimizer = torch.optim.AdamW(self._parameter_groups(), lr=outer.learning_rate)
        self._base_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.updates_done = 0

    def fit(
        self,
        sampler: WindowSampler,
        num_updates: int,
        report: Report = lambda updates, scalars: None,
        *,
        fit_normalizer: bool = True,
    ) -> dict[str, float]:
        """Take `num_updates` outer steps.

        Args:
            sampler: of the training episodes.
            num_updates: outer steps.
            report: called with the updates done in this fit and scalars: the recent loss every `REPORT_EVERY` updates, and once
                per epoch (as many windows as there are) what `gradient_conflict` returns.
            fit_normalizer: False keeps the statistics that the weights were trained with.

        Returns:
            Scalars at the end of the fit.
        """
        epoch = max(1, len(sampler) // self.config.meta_batch_size)
        self.adapter.train()
        if fit_normalizer:
            self.adapter.model.normalizer.fit(*sampler.transitions())
        losses: list[Tensor] = []
        for update in range(num_updates):
            self._set_learning_rate(update / num_updates)
            losses.append(self._step(sampler.sample(self.config.meta_batch_size, self.generator)))
            if (update + 1) % REPORT_EVERY == 0 or update + 1 == num_updates:
                recent = float(torch.stack(losses[-REPORT_EVERY:]).mean())
                if not math.isfinite(recent):
                    raise AdaptiveMBRLError(
                        f"training diverged near update {self.updates_done}; try a smaller outer.learning_rate"
                    )
                report(update + 1, {"train/query_loss": recent})
            if (update + 1) % epoch == 0:
                report(update + 1, self.gradient_conflict(sampler))
        self.adapter.eval()
        if not losses:
            return {}
        tail = torch.stack(losses[-max(1, num_updates // 10) :])
        return {"train/query_loss": float(tail.mean())}

    def _step(self, windows: Windows) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(windows).mean()
        loss.backward()
        if self.config.gradient_clip > 0:
            torch.nn.utils.clip_grad_norm_(self.adapter.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self.updates_done += 1
        return loss.detach()

    def loss(self, windows: Windows) -> Tensor:
        """Post-adaptation query loss of each window, (W,)."""
        with self._autocast():
            belief = self.adapter.update(self.adapter.prior(len(windows.obs)), windows.recent)
            return self._query_loss(self.adapter.parameters_of(belief), windows)

    def _query_loss(self, parameters: Parameters, windows: Windows) -> Tensor:
        loss = multi_step_loss(self.adapter.model, parameters, windows)
        if self.adapter.model.config.learned_variance:
            loss = loss + variance_loss(self.adapter.model, parameters, windows)
        return loss

    def validate(self, sampler: WindowSampler) -> dict[str, float]:
        """Post-adaptation and prior loss on held-out episodes, and the model error along the horizon."""
        index = torch.linspace(0, len(sampler) - 1, self.config.validation_windows).long().to(self.device)
        windows = sampler.at(index)
        self.adapter.eval()
        with torch.no_grad(), self._autocast():
            prior = self.adapter.prior(len(windows.obs))
            belief = self.adapter.update(prior, windows.recent)
            scalars = {}
            for name, b in (("adapted", belief), ("prior", prior)):
                parameters = self.adapter.parameters_of(b)
                errors = query_errors(self.adapter.model, parameters, windows).mean(0).square().mean(-1).sqrt()
                scalars[f"validation/{name}_loss"] = float(multi_step_loss(self.adapter.model, parameters, windows).mean())
                for step in sorted({1, 5, 10, self.config.query} & set(range(1, self.config.query + 1))):
                    scalars[f"validation/{name}_error_{step}_steps"] = float(errors[:, step - 1].mean())
        return scalars

    def gradient_conflict(self, sampler: WindowSampler) -> dict[str, float]:
        """Norm of the meta-learning and of the multi-task gradient at the present parameters, and their cosine."""
        windows = sampler.sample(self.config.meta_batch_size, torch.Generator().manual_seed(self.updates_done))
        parameters = list(self.adapter.model.net.parameters())

        def flat_gradient(loss: Tensor) -> Tensor:
            gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
            return torch.cat(
                [(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(gradients, parameters, strict=True)]
            )

        meta = flat_gradient(self.loss(windows).mean())
        shared = self.adapter.model.shared_parameters()
        with self._autocast():
            multitask_loss = self._query_loss(shared, windows).mean()
        multitask = flat_gradient(multitask_loss)
        cosine = torch.nn.functional.cosine_similarity(meta, multitask, dim=0)
        return {
            "gradient/meta_norm": float(meta.norm()),
            "gradient/multitask_norm": float(multitask.norm()),
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

    def _parameter_groups(self) -> list[dict[str, Any]]:
        named = [(n, p) for n, p in self.adapter.named_parameters() if p.requires_grad]
        weights = [p for n, p in named if ".weight_" in n and not n.startswith("log_step_sizes")]
        step_sizes = [p for n, p in named if n.startswith("log_step_sizes")]
        others = [p for n, p in named if ".weight_" not in n and not n.startswith("log_step_sizes")]
        rate, step_size_rate, decay = self.config.learning_rate, self.config.step_size_learning_rate, self.config.weight_decay
        groups = [(weights, rate, decay), (others, rate, 0.0), (step_sizes, step_size_rate, 0.0)]
        return [{"params": p, "lr": lr, "weight_decay": wd} for p, lr, wd in groups if p]
