"""Gradient-based adaptation of `mixed_model` as a textbook writes it: one member, one task, one transition at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from adaptive_mbrl.adaptation import NetworkAdapter
from adaptive_mbrl.adaptation.gradient import GradientRule
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import MIXED


def rule_of(adapter: NetworkAdapter) -> GradientRule:
    """The adapter's only rule."""
    (rule,) = adapter.rules
    assert isinstance(rule, GradientRule)
    return rule


def plain_network(parameters: dict[str, Tensor], obs: Tensor, action: Tensor, adapter: NetworkAdapter) -> Tensor:
    """One member and one transition, written out with `@` alone: obs (4,), action (2,)."""
    statistics = adapter.model.normalizer
    x = (obs - statistics.obs_mean) / statistics.obs_std
    limits = torch.tensor([[a.low, a.high] for a in MIXED.action], dtype=torch.float64)
    a = 2 * (action - limits[:, 0]) / (limits[:, 1] - limits[:, 0]) - 1
    encoded = torch.stack([x[0], x[2], x[3], obs[1].sin(), obs[1].cos()])
    h = torch.cat([encoded, parameters["action_gain"][0] * a, parameters["context"][0]])
    for layer in range(3):
        h = h @ parameters[f"weight_{layer}"] + parameters[f"bias_{layer}"][0]
        if layer < 2:
            h = torch.tanh(h)
    return h


def plain_loss(parameters: dict[str, Tensor], recent: Transitions, task: int, adapter: NetworkAdapter) -> Tensor:
    """The inner loss of one member and one task, transition by transition."""
    statistics = adapter.model.normalizer
    losses = []
    for k in range(recent.obs.shape[1]):
        if not recent.valid[task, k]:
            continue
        obs, next_obs = recent.obs[task, k], recent.next_obs[task, k]
        raw = next_obs - obs
        raw = torch.stack([raw[0], torch.atan2(raw[1].sin(), raw[1].cos()), next_obs[2], raw[3]])
        error = (raw - statistics.target_mean) / statistics.target_std
        output = plain_network(parameters, obs, recent.action[task, k], adapter)
        losses.append(((error - output[:4]) ** 2).sum())
    return torch.stack(losses).mean() if losses else torch.zeros(())


def plain_update(adapter: NetworkAdapter, recent: Transitions, member: int, task: int) -> dict[str, Tensor]:
    """Gradient descent as a textbook writes it, for one member and one task."""
    rule = rule_of(adapter)
    values = {n: p[member].detach().clone().requires_grad_() for n, p in adapter.model.net.named_parameters()}
    if not recent.valid[task].any():
        return {n: values[n].detach() for n in rule.names}
    for _ in range(rule.config.steps):
        gradients = torch.autograd.grad(plain_loss(values, recent, task, adapter), [values[n] for n in rule.names])
        norm = torch.sqrt(sum((g**2).sum() for g in gradients))
        shrink = min(1.0, rule.config.clip / norm.item()) if rule.config.clip else 1.0
        for name, gradient in zip(rule.names, gradients, strict=True):
            step_sizes = rule.log_step_sizes[name].detach().exp()
            step_size = step_sizes[member if len(step_sizes) > 1 else 0]
            values[name] = (values[name] - step_size * shrink * gradient).detach().requires_grad_()
    return {n: values[n].detach() for n in rule.names}
