"""How the returns under all particles become one: closed forms by hand and by Rockafellar and Uryasev's formula, and plans."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adaptive_mbrl.checkpoint import read_description
from adaptive_mbrl.config import from_mapping, to_mapping
from adaptive_mbrl.controller import AdaptiveController
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.objective import Objective, Term
from adaptive_mbrl.planning import CEMConfig, GradientPlannerConfig, ICEMConfig, Score, make_planner
from adaptive_mbrl.planning.override import override_planner
from adaptive_mbrl.planning.risk import CVaRRiskConfig, MeanRiskConfig, RiskConfig, WorstRiskConfig
from adaptive_mbrl.planning.score import failed
from adaptive_mbrl.predictor import Trajectories
from tests.core.cart import CONFIGS, LARGER_IS_BETTER, METHODS, ONE, plan_step, small

MEAN, WORST = MeanRiskConfig(), WorstRiskConfig()
RISKS: tuple[RiskConfig, ...] = (MEAN, WORST, CVaRRiskConfig(0.34), CVaRRiskConfig(1.0))
PARTICLES = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9).map(lambda values: torch.tensor(values, dtype=torch.float64))
FRACTIONS = st.floats(1e-3, 1.0)


@pytest.mark.parametrize(
    ("risk", "expected"),
    [
        (MEAN, (4.0, -4.0)),
        (WORST, (1.0, -10.0)),
        (CVaRRiskConfig(0.5), ((1 + 2) / 2, (-10 - 3) / 2)),
        (CVaRRiskConfig(0.375), ((1 + 0.5 * 2) / 1.5, (-10 - 0.5 * 3) / 1.5)),
        (CVaRRiskConfig(0.8), ((1 + 2 + 3 + 0.2 * 10) / 3.2, (-10 - 3 - 2 - 0.2 * 1) / 3.2)),
        (CVaRRiskConfig(0.1), (1.0, -10.0)),
        (CVaRRiskConfig(1.0), (4.0, -4.0)),
    ],
)
def test_four_particles_of_two_candidates_by_hand(risk: RiskConfig, expected: tuple[float, float]):
    returns = torch.tensor([[3.0, -3.0], [10.0, -10.0], [1.0, -1.0], [2.0, -2.0]], dtype=torch.float64)

    assert risk.of(returns).tolist() == pytest.approx(expected, rel=1e-12)


@given(returns=PARTICLES, fraction=FRACTIONS)
@settings(max_examples=50, deadline=None)
def test_cvar_is_the_maximum_of_rockafellar_and_uryasev(returns: Tensor, fraction: float):
    """The function of the threshold t is concave with a kink at each return, so that its maximum is at one of them."""
    short = (returns[:, None] - returns[None]).clamp(min=0).mean(1) / fraction
    expected = (returns - short).amax()

    assert CVaRRiskConfig(fraction).of(returns).item() == pytest.approx(expected.item(), rel=1e-9, abs=1e-9)


@given(returns=PARTICLES, fractions=st.tuples(FRACTIONS, FRACTIONS), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_the_more_averse_a_risk_is_the_less_it_gives_in_whatever_order(
    returns: Tensor, fractions: tuple[float, float], seed: int
):
    averse, bold = (CVaRRiskConfig(fraction) for fraction in sorted(fractions))
    from_averse_to_neutral = (WORST, CVaRRiskConfig(1 / len(returns)), averse, bold, CVaRRiskConfig(1.0), MEAN)
    mixed = returns[torch.randperm(len(returns), generator=torch.Generator().manual_seed(seed))]

    worst, one, less, more, all_of_them, mean = (risk.of(returns).item() for risk in from_averse_to_neutral)
    tolerance = 1e-9

    assert one == pytest.approx(worst, rel=tolerance, abs=tolerance)
    assert all_of_them == pytest.approx(mean, rel=tolerance, abs=tolerance)
    assert worst - tolerance <= less <= more + tolerance <= mean + 2 * tolerance
    for risk in from_averse_to_neutral:
        assert risk.of(mixed).item() == pytest.approx(risk.of(returns).item(), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("risk", RISKS)
def test_the_derivative_is_that_of_finite_differences(risk: RiskConfig):
    returns = torch.tensor([[3.0, -1.0], [10.0, -4.0], [1.0, 0.5], [2.0, 9.0]], dtype=torch.float64, requires_grad=True)

    assert torch.autograd.gradcheck(risk.of, (returns,))
    slope = torch.autograd.grad(risk.of(returns).sum(), returns)[0]
    # what is added to all particles is added to the risk
    torch.testing.assert_close(slope.sum(0), torch.ones(2, dtype=torch.float64))


# --- in the score -------------------------------------------------------------------------------------------------------------


POSITION = Objective(ONE, (Term("linear", 1.0, ("x",)),))


def asked(seed: int = 0, particles: int = 5) -> tuple[Trajectories, Tensor, Tensor, Tensor]:
    """Five futures of seven candidates for two robots."""
    next_obs = torch.randn(particles, 2, 7, 3, 1, generator=torch.Generator().manual_seed(seed))
    return Trajectories(next_obs), torch.zeros(2, 7, 3, 1), torch.zeros(2, 1), torch.zeros(2, 0)


@pytest.mark.parametrize("risk", RISKS)
def test_the_return_is_the_risk_less_the_spread(risk: RiskConfig):
    particles = Score(POSITION).particle_returns(*asked())

    torch.testing.assert_close(
        Score(POSITION, 0.7, risk=risk)(*asked()), risk.of(particles) - 0.7 * particles.std(0, unbiased=False)
    )
    assert torch.equal(Score(POSITION, risk=risk)(*asked()), risk.of(particles))


def test_without_a_risk_it_is_the_mean_to_the_bit():
    assert torch.equal(Score(POSITION)(*asked()), Score(POSITION).particle_returns(*asked()).mean(0))


@pytest.mark.parametrize("risk", RISKS)
def test_a_candidate_that_fails_under_its_best_particle_fails_and_no_other(risk: RiskConfig):
    """The risk would not look at that one."""
    trajectories, *rest = asked()
    trajectories.next_obs[1, 0, 2] = 100.0
    trajectories.next_obs[1, 0, 2, 2, 0] = torch.inf

    returns = Score(POSITION, risk=risk)(trajectories, *rest)

    assert torch.isfinite(returns).all()
    assert failed(returns).nonzero().tolist() == [[0, 2]]


@pytest.mark.parametrize("risk", RISKS)
def test_one_particle_is_its_own_risk(risk: RiskConfig):
    """As the oracle's is; so plans on the true dynamics are the same under any risk."""
    assert torch.equal(Score(POSITION, risk=risk)(*asked(particles=1)), Score(POSITION)(*asked(particles=1)))


# --- in plans -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_a_gamble_is_taken_by_the_mean_and_not_by_who_is_averse(method: str):
    """Positive actions promise 2/3 per unit on average, but one particle of three loses 1 per unit; negative ones lose 0.1."""

    def rollout(actions: Tensor) -> Tensor:
        gamble, sure = actions.clamp(min=0), 0.1 * actions.clamp(max=0)
        return torch.stack([2.0 * gamble + sure, -1.0 * gamble + sure, 1.0 * gamble + sure])

    chosen: dict[RiskConfig, float] = {}
    for risk in (MEAN, CVaRRiskConfig(0.34), WORST):
        planner = make_planner(ONE, small(method, horizon=1, risk=risk, num_samples=128, num_elites=10))
        state = planner.init(1)
        for _ in range(3):
            state, plan = plan_step(planner, state, rollout, LARGER_IS_BETTER, torch.zeros(1, 1))
        chosen[risk] = plan.actions.item()

    assert chosen.pop(MEAN) > 0.7
    assert max(chosen.values()) < 0.05


# --- where it is set ----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class File:
    """A file with a planner's entry."""

    planner: ICEMConfig | GradientPlannerConfig


def read(entry: Any) -> RiskConfig:
    return from_mapping(File, {"planner": {"icem": {"risk": entry}}}, source="file").planner.risk


def test_it_is_a_word_or_a_word_with_settings():
    assert [read("mean"), read("worst"), read("cvar")] == [MEAN, WORST, CVaRRiskConfig()]
    assert read({"cvar": {"fraction": 0.34}}) == CVaRRiskConfig(0.34)
    for risk in RISKS:
        assert read(to_mapping(risk)) == risk


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("worse", "unknown kind 'worse' .did you mean 'worst'"),
        ({"cvar": {"fraction": 0}}, "0.0 is out of range; allowed: 0.001 to 1"),
        ({"worst": {"fraction": 0.5}}, "unknown key 'planner.icem.risk.worst.fraction'"),
    ],
)
def test_a_mistake_is_told(entry: Any, message: str):
    with pytest.raises(ConfigError, match=message):
        read(entry)


def test_what_says_nothing_of_it_means_the_mean():
    """As the shipped checkpoints do not."""
    assert from_mapping(File, {"planner": "gradient"}, source="file").planner.risk == MEAN
    assert read_description("half_cheetah").planner.risk == MEAN


@pytest.mark.parametrize("method", METHODS)
def test_another_planner_keeps_it_and_another_risk_takes_its_place(method: str):
    averse = CEMConfig(num_samples=20, num_elites=5, risk=CVaRRiskConfig(0.34))

    kept = override_planner(averse, method, "--planner")
    changed = override_planner(averse, f"{{{method}: {{risk: worst}}}}", "--planner")

    assert isinstance(kept, CONFIGS[method])
    assert (kept.risk, changed.risk) == (CVaRRiskConfig(0.34), WORST)


def test_a_controller_scores_by_the_risk_of_its_planner():
    averse = override_planner(read_description("cartpole").planner, "{icem: {risk: {cvar: {fraction: 0.4}}}}", "--planner")

    assert AdaptiveController.load("cartpole", planner=averse).settings.score.risk == CVaRRiskConfig(0.4)
    assert AdaptiveController.load("cartpole").settings.score.risk == MEAN
