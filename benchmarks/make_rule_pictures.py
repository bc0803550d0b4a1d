"""Make the picture of each adaptation rule in docs/images/rules: what it does on the smallest robot whose dynamics change.

Usage: python benchmarks/make_rule_pictures.py [RULE...] [--updates 800] [--out docs/images/rules]

A mass on a spring is pushed along a line,

    x' = x + dt v',     v' = 0.95 v + dt (10 g a + w - 4 x)

and its motor's gain g and a wind w are hidden. Each rule is meta-trained on 80 masses with g in [-1.2, 1.2] and w in [-2, 2],
which takes from a few seconds to a minute of one core. Then it meets masses that it has not seen:

    left    the one-step error after k transitions of a new mass, for masses like those of the training and for stronger motors
    right   one life: the motor is reversed after 20 steps and is as it was after 40, while the belief goes on from step to step

The files are small SVGs, and the same from run to run on one machine.
"""

from __future__ import annotations

from adaptive_mbrl.runtime import prepare_process

prepare_process()

from dataclasses import dataclass, replace  # noqa: E402
from io import StringIO  # noqa: E402
from pathlib import Path  # noqa: E402

import matplotlib  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import tyro  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from torch import Tensor  # noqa: E402

from adaptive_mbrl.adaptation import NetworkAdapter, Rules, make_adapter  # noqa: E402
from adaptive_mbrl.config import from_mapping  # noqa: E402
from adaptive_mbrl.data.dataset import EpisodeDataset  # noqa: E402
from adaptive_mbrl.data.episode import Episode  # noqa: E402
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig  # noqa: E402
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig  # noqa: E402
from adaptive_mbrl.spec import ActionChannel, Channel, RobotSpec  # noqa: E402
from adaptive_mbrl.storage import write_text_atomically  # noqa: E402
from adaptive_mbrl.transitions import Transitions  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
DT, WINDOW, STEPS = 0.1, 8, 60
MASS = RobotSpec(
    "mass", DT, (Channel("position", "m"), Channel("speed", "m/s", "velocity")), (ActionChannel("force", "N", -1.0, 1.0),)
)
MODEL = ModelConfig(hidden=(64,), members=1, context_dim=4)
DEEPER = replace(MODEL, hidden=(64, 64))
"""For a rule that acts between hidden layers."""
OUTER = OuterConfig(query=3, meta_batch_size=32, learning_rate=1e-2, validation_windows=64)
RULES: dict[str, list[dict[str, dict[str, object]]]] = {
    "none": [{"none": {}}],
    "history": [{"history": {}}],
    "gradient": [{"gradient": {"steps": 2}}],
    "gauss_newton": [{"gauss_newton": {}}],
    "learned_loss": [{"learned_loss": {}}],
    "context": [{"context": {}}],
    "known_parameters": [{"known_parameters": {}}],
    "transformer": [{"transformer": {}}],
    "soft_modules": [{"soft_modules": {}}],
    "recurrent": [{"recurrent": {}}],
    "latent": [{"latent": {}}],
    "bayes_linear": [{"bayes_linear": {}}],
    "embedding": [{"embedding": {"count": 80}}],
    "multi_head": [{"multi_head": {}}],
    "mixture": [{"mixture": {}}],
    "composition": [{"context": {}}, {"bayes_linear": {}}],
}
"""The entry `adaptation` of a training configuration, by the name of the picture."""
NUM_TEST = 200
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Entry:
    """The key of a training configuration that says which rule it is."""

    adaptation: Rules


@dataclass(frozen=True)
class Curves:
    """What one rule reaches, in target stds.

    Attributes:
        inside: error after 0..K transitions, masses like those of the training, (K + 1,).
        beyond: the same for stronger motors, (K + 1,).
        life: error at each step of a life in which the motor is reversed and mended, (STEPS,).
    """

    inside: Array
    beyond: Array
    life: Array


def main(
    rules: tyro.conf.Positional[tuple[str, ...]] = tuple(RULES),
    updates: int = 800,
    out: Path = ROOT / "docs" / "images" / "rules",
) -> None:
    """Train the rules and draw them.

    Args:
        rules: which of them.
        updates: outer steps of each.
        out: folder of the pictures.
    """
    torch.set_num_threads(1)
    matplotlib.rcParams["svg.hashsalt"] = "adaptive-mbrl"
    data = dataset()
    multitask: dict[ModelConfig, Curves] = {}
    for name in rules:
        model = DEEPER if name == "soft_modules" else MODEL
        if model not in multitask:
            multitask[model] = measured("none", model, data, updates)
        curves = multitask[model] if name == "none" else measured(name, model, data, updates)
        write_text_atomically(out / f"{name}.svg", drawn(name, curves, multitask[model]))
        print(
            f"{name}: after {WINDOW} transitions {curves.inside[-1]:.3f}, stronger motors {curves.beyond[-1]:.3f}; "
            f"without any {curves.inside[0]:.3f}",
            flush=True,
        )


def dataset() -> EpisodeDataset:
    """Masses to train on, and others to watch the training with."""
    training = [episode(*drawn_mass(seed), seed) for seed in range(80)]
    held_out = [episode(*drawn_mass(seed), seed) for seed in range(1000, 1016)]
    return EpisodeDataset(MASS, training, held_out, WINDOW, OUTER.query)


def drawn_mass(seed: int) -> tuple[float, float]:
    """Gain and wind of a mass of the training."""
    rng = np.random.default_rng([1, seed])
    return rng.uniform(-1.2, 1.2), rng.uniform(-2.0, 2.0)


def moved(obs: Array, action: Array, gain: Array | float, wind: Array | float) -> Array:
    """One step: obs (..., 2), action (..., 1)."""
    speed = 0.95 * obs[..., 1] + DT * (10.0 * gain * action[..., 0] + wind - 4.0 * obs[..., 0])
    return np.stack([obs[..., 0] + DT * speed, speed], -1)


def pushes(steps: int, seed: int) -> Array:
    """Random forces, (steps, 1)."""
    return np.random.default_rng([2, seed]).uniform(-1, 1, (steps, 1))


def episode(gain: float, wind: float, seed: int, steps: int = 40) -> Episode:
    """A mass that is pushed at random."""
    actions, obs = pushes(steps, seed), [np.random.default_rng([3, seed]).normal(0, [1.0, 2.0])]
    for action in actions:
        obs.append(moved(obs[-1], action, gain, wind))
    tags = {"situation": {"gain": gain, "wind": wind}}
    return Episode(np.stack(obs).astype(np.float32), actions.astype(np.float32), np.zeros(steps, np.float32), tags)


def measured(name: str, model: ModelConfig, data: EpisodeDataset, updates: int) -> Curves:
    """Train one rule and let it meet masses that it has not seen."""
    entry = from_mapping(Entry, {"adaptation": RULES[name]}, source=f"RULES['{name}']")
    trainer = MetaTrainer(make_adapter(DynamicsModel(MASS, model), entry.adaptation, WINDOW), OUTER)
    trainer.adapter.normalizer.fit(data.statistics())
    trainer.fit(data, updates)
    adapter = trainer.adapter.eval()
    rng = np.random.default_rng(7)
    inside, wind = rng.uniform(-1.2, 1.2, NUM_TEST), rng.uniform(-2.0, 2.0, NUM_TEST)
    beyond = rng.uniform(1.2, 2.0, NUM_TEST) * rng.choice([-1, 1], NUM_TEST)
    reversed_for_a_while = np.where((np.arange(STEPS) < 20) | (np.arange(STEPS) >= 40), 1.0, -1.0)[:, None] * np.abs(inside)
    return Curves(
        by_transitions(adapter, lived(np.broadcast_to(inside, (WINDOW + 1, NUM_TEST)), wind)),
        by_transitions(adapter, lived(np.broadcast_to(beyond, (WINDOW + 1, NUM_TEST)), wind)),
        errors(adapter, lived(reversed_for_a_while, wind)).mean(1),
    )


def lived(gains: Array, wind: Array) -> tuple[Tensor, Tensor]:
    """Masses whose gains are given step by step, (T, B): observations (T + 1, B, 2) and actions (T, B, 1)."""
    steps, number = gains.shape
    actions = np.stack([pushes(steps, 5000 + i) for i in range(number)], 1)
    obs = [np.random.default_rng(11).normal(0, [1.0, 2.0], (number, 2))]
    for gain, action in zip(gains, actions, strict=True):
        obs.append(moved(obs[-1], action, gain, wind))
    return torch.tensor(np.stack(obs), dtype=torch.float32), torch.tensor(actions, dtype=torch.float32)


@torch.no_grad()
def errors(adapter: NetworkAdapter, life: tuple[Tensor, Tensor]) -> Array:
    """RMS one-step errors of the belief that is carried through a life [target stds], (T, B)."""
    obs, actions = life
    number = obs.shape[1]
    nothing = torch.zeros(number, WINDOW, 2)
    recent = Transitions(nothing, torch.zeros(number, WINDOW, 1), nothing, torch.zeros(number, WINDOW, dtype=torch.bool))
    belief, found = adapter.prior(number), []
    for before, action, after in zip(obs[:-1], actions, obs[1:], strict=True):
        predictor = adapter.condition(belief)
        mean = predictor.predict(before[:, None], action[:, None]).mean[:, 0]
        found.append(predictor.error(mean, after).square().mean(-1).sqrt().numpy())
        recent = recent.append(before, action, after, torch.ones(number, dtype=torch.bool))
        belief = adapter.update(belief, recent)
    return np.array(found, dtype=np.float64)


def by_transitions(adapter: NetworkAdapter, life: tuple[Tensor, Tensor]) -> Array:
    """Mean error after 0..K transitions of a mass that stays as it is, (K + 1,)."""
    return errors(adapter, life).mean(1)


def drawn(name: str, curves: Curves, multitask: Curves) -> str:
    """The picture as the text of an SVG."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 2.9), width_ratios=[1, 1.45], layout="constrained")
    known = np.arange(WINDOW + 1)
    for side in (left, right):
        side.set_yscale("log")
        side.grid(alpha=0.3, which="both", linewidth=0.5)
        side.spines[["top", "right"]].set_visible(False)
    if name != "none":
        left.plot(known, multitask.inside, color="0.6", label="no adaptation")
        left.plot(known, multitask.beyond, color="0.6", linestyle="--")
        right.plot(multitask.life, color="0.6", label="no adaptation")
    label = "context, then bayes_linear" if name == "composition" else name
    left.plot(known, curves.inside, color="C0", marker="o", markersize=3, label=label)
    left.plot(known, curves.beyond, color="C0", marker="o", markersize=3, linestyle="--", label="stronger motors")
    right.plot(curves.life, color="C0", label=label)
    for at, text in ((20, "motor reversed"), (40, "as it was")):
        right.axvline(at, color="C3", linewidth=1)
        right.text(at + 0.6, 0.98, text, color="C3", fontsize=8, va="top", transform=right.get_xaxis_transform())
    left.set(xlabel="transitions of the new mass", ylabel="one-step error [target stds]")
    right.set(xlabel="control step")
    left.legend(fontsize=8, frameon=False, loc="lower left")
    lowest = min(curves.inside.min(), curves.life.min())
    for side in (left, right):
        side.set_ylim(min(0.02, 0.7 * lowest), 3.0)
    text = StringIO()
    figure.savefig(text, format="svg", facecolor="white", metadata={"Date": None})
    plt.close(figure)
    return text.getvalue()


if __name__ == "__main__":
    tyro.cli(main)
