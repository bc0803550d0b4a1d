"""The rule recurrent, trained with a state that is carried over more than the window: truncated backpropagation through time."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adaptive_mbrl.adaptation import NetworkAdapter, Rules, make_adapter
from adaptive_mbrl.adaptation.belief import tensors_of
from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.adaptation.history import HistoryConfig
from adaptive_mbrl.adaptation.modulation import encode_transitions
from adaptive_mbrl.adaptation.recurrent import RecurrentConfig, RecurrentRule
from adaptive_mbrl.checkpoint import FORMAT_VERSION, Checkpoint, Description
from adaptive_mbrl.data.dataset import EpisodeDataset
from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.windows import Windows, WindowSampler
from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.fine_tune import fine_tuned
from adaptive_mbrl.meta.losses import multi_step_loss
from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
from adaptive_mbrl.objective import Term
from adaptive_mbrl.transitions import Transitions
from tests.core.analytic import (
    POINT,
    POINT_MODEL,
    POINT_OUTER,
    TINY_PLANNER,
    mixed_model,
    mixed_transitions,
    point_episodes,
    push,
    query_windows,
)
from tests.core.rules import stirred_adapter

K, CARRIED = 4, 11
VALID = torch.tensor([[True] * CARRIED, [False] * 5 + [True, False] + [True] * (CARRIED - 7)])
CELLS = ("gru", "lstm")


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is passed without a gradient comes in several parts, of which one robot has nothing in the first one."""
    monkeypatch.setattr("adaptive_mbrl.adaptation.recurrent._CHUNK", 3)


def long_windows() -> Windows:
    """In float64; the second robot's episode began five transitions later, and one of its transitions is not valid."""
    recent = mixed_transitions(2, CARRIED, seed=3)
    return query_windows()._replace(recent=Transitions(*(0.5 * x.double() for x in recent[:3]), VALID))


def carried_adapter(then: Rules = (), **settings: object) -> NetworkAdapter:
    """Its training begins `CARRIED` transitions before the query."""
    config = RecurrentConfig(**{"hidden": 5, "carried": CARRIED, **settings})  # type: ignore[arg-type]
    return stirred_adapter((config, *then), mixed_model(), K).double()


def rule_of(adapter: NetworkAdapter) -> RecurrentRule:
    rule = adapter.rules[0]
    assert isinstance(rule, RecurrentRule)
    return rule


def plain_cell(cell: nn.Module, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One step of one robot, written out: x (D,), each state (hidden,)."""
    of_input, of_state = cell.weight_ih @ x + cell.bias_ih, cell.weight_hh @ state[0] + cell.bias_hh
    if len(state) == 2:
        i, f, g, o = (of_input + of_state).chunk(4)
        memory = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return o.sigmoid() * memory.tanh(), memory
    (r, z, n), (r_state, z_state, n_state) = of_input.chunk(3), of_state.chunk(3)
    reset, keep = (r + r_state).sigmoid(), (z + z_state).sigmoid()
    return ((1 - keep) * (n + reset * n_state).tanh() + keep * state[0],)


def plain_loss(adapter: NetworkAdapter, windows: Windows, truncation: int) -> Tensor:
    """The query loss with the state unrolled by hand, robot by robot, and cut `truncation` transitions before the query."""
    rule, base = rule_of(adapter), NetworkPredictor(adapter.model)
    encoded = encode_transitions(base, windows.recent.finite())
    codes = []
    for robot in range(len(encoded)):
        state = (encoded.new_zeros(5),) * (2 if rule.config.cell == "lstm" else 1)
        for k in range(CARRIED):
            if k == CARRIED - truncation:
                state = tuple(part.detach() for part in state)
            if windows.recent.valid[robot, k]:
                state = plain_cell(rule.cell, encoded[robot, k], state)
        codes.append(state[0])
    return multi_step_loss(rule.modulation(base, torch.stack(codes)), windows).mean()


def gradients(adapter: NetworkAdapter, loss: Tensor) -> dict[str, Tensor]:
    named = dict(adapter.named_parameters())
    return dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


def training_loss(adapter: NetworkAdapter, windows: Windows) -> Tensor:
    return MetaTrainer(adapter, OuterConfig(query=2)).loss(windows).mean()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("truncation", [0, 1, 7, CARRIED])
def test_the_outer_gradient_is_that_of_a_state_that_is_unrolled_by_hand_and_cut(cell: str, truncation: int):
    """With a truncation of all that are carried over it is that of full backpropagation, with 0 it is cut K before the query."""
    adapter, windows = carried_adapter(cell=cell, truncation=truncation), long_windows()

    got = gradients(adapter, training_loss(adapter, windows))

    expected = gradients(adapter, plain_loss(adapter, windows, truncation or K))
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-9, atol=1e-13, msg=name)
    if truncation != CARRIED:
        full = gradients(adapter, plain_loss(adapter, windows, CARRIED))
        assert not torch.allclose(full["rules.0.cell.weight_ih"], got["rules.0.cell.weight_ih"], rtol=1e-3)


def as_controlled(adapter: NetworkAdapter, recent: Transitions) -> tuple:
    """The belief that is carried through all transitions while a controller holds the last K of them."""
    belief = adapter.prior(len(recent.obs))
    held = Transitions(*(torch.zeros_like(x) for x in recent.steps(slice(K))))
    for k in range(recent.obs.shape[1]):
        held = held.append(*(x[:, k] for x in recent))
        belief = adapter.update(belief, held)
    return belief


@pytest.mark.parametrize("cell", CELLS)
def test_training_believes_what_control_carries(cell: str):
    """The rule behind it, too, which sees the last K transitions as a controller does."""
    then = (HistoryConfig(), GradientConfig(steps=2, learning_rate=0.1))
    adapter, windows = carried_adapter(then, cell=cell), long_windows()

    trained, asked = adapter.infer_in_training(windows), adapter.infer(windows.recent)

    for got in (trained, asked):
        for part, expected in zip(tensors_of(got), tensors_of(as_controlled(adapter, windows.recent)), strict=True):
            torch.testing.assert_close(part, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_without_carrying_a_training_is_as_it_was_to_the_bit(cell: str):
    adapter = stirred_adapter((RecurrentConfig(hidden=5, cell=cell),), mixed_model(), K)
    windows = Windows(mixed_transitions(2, K), *(x.float() for x in query_windows()[1:]))

    (belief,) = adapter.infer_in_training(windows)

    assert adapter.carried == 0
    assert torch.equal(belief.hidden, adapter.infer(windows.recent)[0].hidden)
    gradient = torch.autograd.grad(belief.hidden.sum(), rule_of(adapter).cell.weight_ih)
    full = torch.autograd.grad(adapter.infer(windows.recent)[0].hidden.sum(), rule_of(adapter).cell.weight_ih)
    assert torch.equal(gradient[0], full[0])


def test_where_the_episode_has_just_begun_nothing_is_carried():
    adapter, windows = carried_adapter(), long_windows()
    windows.recent.valid[:, :-K] = False

    got, expected = adapter.infer_in_training(windows), adapter.infer(windows.recent.steps(slice(-K, None)))

    assert torch.equal(got[0].hidden, expected[0].hidden)


def test_longer_windows_are_the_same_windows_with_more_before_them():
    episodes = point_episodes(5, seed=0, steps=20)
    short, long = (
        EpisodeDataset(POINT, episodes, [], window, 3).sample(64, torch.Generator().manual_seed(1)) for window in (K, 50)
    )

    for a, b in zip((*short.recent, *short[1:]), (*long.recent.steps(slice(-K, None)), *long[1:]), strict=True):
        assert torch.equal(a, b)
    assert long.recent.valid.sum() > short.recent.valid.sum()


def test_a_truncation_beyond_what_is_carried_over_is_refused():
    with pytest.raises(
        ConfigError, match=r"recurrent.truncation': 12; training carries the state over 11 transitions; allowed: at most"
    ):
        carried_adapter(truncation=CARRIED + 1)


def test_windows_that_are_too_short_to_carry_over_are_refused():
    adapter = carried_adapter()
    windows = long_windows()

    with pytest.raises(ConfigError, match=f"have {K} transitions, and a rule is to be carried over {CARRIED}"):
        adapter.infer_in_training(windows._replace(recent=windows.recent.steps(slice(-K, None))))


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_passed_without_a_gradient_leaves_the_gradient_in_bfloat16(cell: str):
    """Autocast keeps the weights that it casts; those of the constant part must not take the place of the trained ones."""
    settings = RecurrentConfig(hidden=8, cell=cell, carried=20)
    windows = WindowSampler(point_episodes(4, seed=0), 20, 3).at(torch.arange(25, 57))
    found = []
    for precision in ("float32", "bfloat16"):
        adapter = stirred_adapter((settings,), DynamicsModel(POINT, POINT_MODEL), K)
        trainer = MetaTrainer(adapter, dataclasses.replace(POINT_OUTER, precision=precision))
        found.append(gradients(adapter, trainer.loss(windows).mean()))

    for name, exact in found[0].items():
        assert torch.nn.functional.cosine_similarity(exact.flatten(), found[1][name].flatten(), dim=0) > 0.95, name


def test_fine_tuning_carries_the_state_as_far_as_the_training_did():
    rules = (RecurrentConfig(hidden=6, carried=15),)
    adapter = make_adapter(DynamicsModel(POINT, POINT_MODEL), rules, K)
    about = Description(FORMAT_VERSION, POINT, (Term("linear", channels=("speed",)),), (), POINT_MODEL, rules, TINY_PLANNER, K)

    tuned, before, after = fine_tuned(
        Checkpoint(about, adapter), point_episodes(2, 5), point_episodes(1, 6), dataclasses.replace(POINT_OUTER, query=3), 2
    )

    assert before["validation/adapted_loss"] != after["validation/adapted_loss"]
    assert tuned.canary is not None
    assert tuned.canary.windows.recent.obs.shape[1] == 15


# the mass of a cart shows in the first pushes of an episode, then it coasts for longer than the window, then it is pushed again
PUSHES, COASTING, QUERY, SHORT = 3, 5, 2, 3
LATE = PUSHES + COASTING


def cart_episode(mass: float, seed: int) -> Episode:
    rng = np.random.default_rng(seed)
    actions = rng.uniform(0.4, 1.0, (LATE + QUERY, 1)) * rng.choice([-1, 1], (LATE + QUERY, 1))
    actions[PUSHES:LATE] = 0
    obs = [rng.normal(0, [0.3, 0.3]).astype(np.float32)]
    for action in actions:
        obs.append(push(obs[-1], action, 1 / mass))
    return Episode(np.stack(obs), actions.astype(np.float32), np.zeros(len(actions), np.float32), {})


@functools.cache
def cart_episodes(num: int, seed: int) -> tuple[Episode, ...]:
    masses = np.exp(np.random.default_rng(seed).uniform(np.log(0.7), np.log(4), num))
    return tuple(cart_episode(mass, seed + 1 + i) for i, mass in enumerate(masses))


def test_what_shows_only_before_the_window_is_learned_and_used():
    adapter = make_adapter(
        DynamicsModel(POINT, ModelConfig(hidden=(32,), members=1, context_dim=2)),
        (RecurrentConfig(hidden=16, carried=LATE),),
        SHORT,
    )
    data = EpisodeDataset(POINT, cart_episodes(60, 0), [], max(SHORT, adapter.carried), QUERY)
    trainer = MetaTrainer(adapter, OuterConfig(query=QUERY, meta_batch_size=32, learning_rate=2e-2))
    trainer.fit(data, 250)
    sampler = WindowSampler(cart_episodes(40, 900), LATE, QUERY)
    late = sampler.at(torch.arange(LATE, len(sampler), LATE + 1))
    assert (late.recent.action[:, -SHORT:] == 0).all()

    with torch.no_grad():
        carried, window = (
            float(multi_step_loss(adapter.condition(adapter.infer(late.recent.newest(known))), late).mean())
            for known in (LATE, SHORT)
        )

    assert carried < 0.4 * window
