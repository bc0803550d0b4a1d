"""Every way to balance training situations against a case of two that is computed by hand, and against brute force."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from adaptive_mbrl.config import from_mapping
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.meta.balancing.base import Balancing
from adaptive_mbrl.meta.balancing.cvar import CVaRConfig
from adaptive_mbrl.meta.balancing.gradnorm import GradNormConfig
from adaptive_mbrl.meta.balancing.groups import gram_matrix
from adaptive_mbrl.meta.balancing.mean import MeanConfig
from adaptive_mbrl.meta.balancing.mgda import MGDAConfig, least_norm
from adaptive_mbrl.meta.balancing.pcgrad import PCGradConfig, projected
from adaptive_mbrl.meta.balancing.uncertainty import UncertaintyConfig
from adaptive_mbrl.meta.trainer import OuterConfig

FIRST, SECOND = [2.0, 0.0], [-1.0, 1.0]
TASK = torch.tensor([0, 1, 1, 0])  # two windows of each


class Plane(nn.Module):
    """Meta-parameters x whose losses are linear: L_t = offset_t + g_t . x at x = 0."""

    def __init__(self, dimensions: int = 2) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.zeros(dimensions))
        self.unused = nn.Parameter(torch.zeros(3))

    def last_weights(self) -> list[nn.Parameter]:
        return [self.x]

    def losses(self, gradients: list[list[float]], offsets: list[float], task: Tensor = TASK) -> Tensor:
        """The loss of each window; those of one task differ by a constant."""
        loss = torch.tensor(offsets) + torch.tensor(gradients) @ self.x
        return loss[task] + torch.tensor([0.1, -0.2, 0.2, -0.1])[: len(task)]


def gradient(config, gradients: list[list[float]], offsets: list[float], task: Tensor = TASK) -> list[float]:
    plane = Plane()
    config.make(plane).backward(plane.losses(gradients, offsets, task), task)
    assert plane.unused.grad is None
    return plane.x.grad.tolist()


def test_the_mean_counts_every_window_the_same():
    assert gradient(MeanConfig(), [FIRST, SECOND], [1.0, 2.0]) == pytest.approx([0.5, 0.5])
    assert gradient(MeanConfig(), [FIRST, SECOND], [1.0, 2.0], torch.tensor([0, 0, 0, 1])) == pytest.approx([1.25, 0.25])


@pytest.mark.parametrize(
    ("fraction", "offsets", "expected"),
    [
        (0.0, [1.0, 2.0], SECOND),
        (0.5, [1.0, 2.0], SECOND),
        (0.5, [2.0, 1.0], FIRST),
        (0.51, [1.0, 2.0], [0.5, 0.5]),
        (1.0, [2.0, 1.0], [0.5, 0.5]),
    ],
)
def test_cvar_is_the_mean_of_the_worst_situations(fraction: float, offsets: list[float], expected: list[float]):
    assert gradient(CVaRConfig(fraction), [FIRST, SECOND], offsets) == pytest.approx(expected)


def test_cvar_looks_at_situations_and_not_at_windows():
    """The worst window is in the better situation; situations count alike, however many windows they have."""
    plane, task = Plane(1), torch.tensor([7, 7, 7, 3])
    losses = torch.tensor([3.0, 0.0, 0.0, 2.0]) + torch.tensor([1.0, 1.0, 1.0, 10.0]) * plane.x
    CVaRConfig(0.3).make(plane).backward(losses, task)
    assert plane.x.grad.tolist() == [10.0]

    plane.x.grad = None
    losses = torch.tensor([3.0, 0.0, 0.0, 2.0]) + torch.tensor([1.0, 1.0, 1.0, 10.0]) * plane.x
    CVaRConfig(1.0).make(plane).backward(losses, task)
    assert plane.x.grad.tolist() == [5.5]


def test_cvar_of_a_tenth_of_thirty_situations_is_three():
    plane = Plane(1)
    losses = torch.arange(30.0) * (1 + plane.x)
    CVaRConfig(0.1).make(plane).backward(losses, torch.arange(30))
    assert plane.x.grad.tolist() == [28.0]


def test_pcgrad_projects_conflicting_gradients_onto_each_others_normal_plane():
    """g1 = (2, 0) loses its part along g2 and becomes (1, 1); g2 = (-1, 1) becomes (0, 1); half of their sum."""
    assert gradient(PCGradConfig(), [FIRST, SECOND], [1.0, 2.0]) == pytest.approx([0.5, 1.0])


def test_pcgrad_without_a_conflict_is_the_mean():
    task = torch.tensor([0, 0, 0, 1])
    mean = gradient(MeanConfig(), [FIRST, [1.0, 1.0]], [1.0, 2.0], task)
    assert gradient(PCGradConfig(), [FIRST, [1.0, 1.0]], [1.0, 2.0], task) == pytest.approx(mean)


def test_pcgrad_on_inner_products_is_pcgrad_on_the_gradients():
    vectors = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    order = torch.Generator().manual_seed(3)
    expected = []
    for i in range(5):
        g = vectors[i].clone()
        for j in torch.randperm(5, generator=order).tolist():
            if j != i and g @ vectors[j] < 0:
                g -= (g @ vectors[j]) / (vectors[j] @ vectors[j]) * vectors[j]
        expected.append(0.2 * g)

    found = projected(vectors @ vectors.T, torch.full((5,), 0.2).double(), torch.Generator().manual_seed(3)) @ vectors

    torch.testing.assert_close(found, torch.stack(expected))
    assert not torch.allclose(found, 0.2 * vectors)


@pytest.mark.parametrize(
    ("gradients", "expected"),
    [
        # the foot of the perpendicular onto the segment: 0.4 g1 + 0.6 g2
        ([FIRST, SECOND], [0.2, 0.6]),
        # one is the shortest itself
        ([[1.0, 0.0], [3.0, 1.0]], [1.0, 0.0]),
        # at odds altogether: nothing can be improved
        ([[2.0, 0.0], [-1.0, 0.0]], [0.0, 0.0]),
        ([FIRST, FIRST], FIRST),
    ],
)
def test_mgda_of_two_is_the_closed_form(gradients: list[list[float]], expected: list[float]):
    assert gradient(MGDAConfig(), gradients, [1.0, 2.0]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_mgda_of_many_is_the_shortest_combination(seed: int):
    """Optimality: along the solution v no gradient is shorter than v, so that all losses fall; brute force finds none shorter."""
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(5, 8, generator=generator, dtype=torch.float64) + 0.5
    weights = least_norm(vectors @ vectors.T)
    v = weights @ vectors

    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1.0)
    assert (vectors @ v >= (1 - 1e-6) * (v @ v)).all()
    # uniform on the simplex
    drawn = -torch.rand(20_000, 5, generator=generator, dtype=torch.float64).log()
    tried = drawn / drawn.sum(1, keepdim=True) @ vectors
    assert v.norm() <= tried.norm(dim=1).min()


def test_gradnorm_pulls_gradients_to_a_common_length_and_then_prefers_who_lags():
    """Last-layer gradients of length 2 and 1, all weights 1: the derivative of |w l - target| is +-l."""
    plane = Plane()
    balancing = GradNormConfig(groups=2, alpha=1.0).make(plane)

    def step(offsets: list[float], first_weight: float = 1.0) -> tuple[list[float], list[float]]:
        plane.x.grad = None
        with torch.no_grad():
            balancing.weight.copy_(torch.tensor([first_weight, 1.0]))
        balancing.backward(plane.losses([[2.0, 0.0], [0.0, 1.0]], offsets), TASK)
        return plane.x.grad.tolist(), balancing.weight.grad.tolist()

    # at first nobody lags: both have the mean length 1.5 as target
    assert step([4.0, 1.0]) == (pytest.approx([1.0, 0.5]), pytest.approx([2.0, -1.0]))
    # ratios 1 and 1/4 to the initial loss, r = 1.6 and 0.4: targets 2.4 and 0.6
    assert step([4.0, 0.25]) == (pytest.approx([1.0, 0.5]), pytest.approx([-2.0, 1.0]))
    assert balancing.initial.tolist() == [4.0, 1.0]
    # weights 3 and 1 become 1.5 and 0.5: the mean of the weighted losses has gradient (1.5, 0.25)
    assert step([4.0, 1.0], first_weight=3.0) == (pytest.approx([1.5, 0.25]), pytest.approx([2.0, -1.0]))
    assert balancing.weight.sum().item() == pytest.approx(2.0)


def test_gradnorm_lets_a_group_without_windows_alone():
    plane = Plane()
    balancing = GradNormConfig(groups=3).make(plane)
    balancing.backward(plane.losses([FIRST, SECOND], [1.0, 2.0]), TASK)

    assert balancing.weight.grad[2] == 0
    assert balancing.initial.isinf().tolist() == [False, False, True]


def test_uncertainty_weighs_by_the_learned_variance():
    """sigma^2 = 4 and 1: gradient (g1 / 8 + g2 / 2) / 2; that of s is (1 - L / sigma^2) / 2, of half of the windows."""
    plane = Plane()
    balancing = UncertaintyConfig(count=2).make(plane)
    with torch.no_grad():
        balancing.log_variance[0] = math.log(4.0)
    balancing.backward(plane.losses([FIRST, SECOND], [1.0, 3.0]), TASK)

    assert plane.x.grad.tolist() == pytest.approx([(2 / 8 - 1 / 2) / 2, (1 / 2) / 2])
    assert balancing.log_variance.grad.tolist() == pytest.approx([(1 - 1 / 4) / 4, (1 - 3) / 4])


def test_learned_variances_become_the_losses():
    plane = Plane()
    balancing = UncertaintyConfig(count=2).make(plane)
    optimizer = torch.optim.Adam(balancing.parameters(), 0.05)
    for _ in range(400):
        optimizer.zero_grad()
        balancing.backward(plane.losses([FIRST, SECOND], [0.5, 3.0]), TASK)
        optimizer.step()

    assert balancing.log_variance.exp().tolist() == pytest.approx([0.5, 3.0], rel=0.02)


@pytest.mark.parametrize("config", [PCGradConfig(groups=2), MGDAConfig(groups=2), GradNormConfig(groups=2)])
def test_more_situations_than_groups_share_them(config):
    """Situations 0, 2, 4 ... are the first group, the others the second."""
    few = gradient(config, [FIRST, SECOND], [1.0, 2.0])
    task = torch.tensor([4, 3, 1, 6])
    many = gradient(config, [FIRST if t % 2 == 0 else SECOND for t in range(7)], [1.0 + t % 2 for t in range(7)], task)

    assert many == pytest.approx(few)


def test_the_inner_products_are_those_of_all_parameters_together():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 3, 2, generator=generator), torch.randn(2, 4, generator=generator)

    expected = [[(a[i] * a[j]).sum().item() + (b[i] * b[j]).sum().item() for j in range(2)] for i in range(2)]

    # the products are of float32
    found = gram_matrix([(a[i], None, b[i]) for i in range(2)])
    torch.testing.assert_close(found, torch.tensor(expected).double(), rtol=1e-5, atol=1e-6)


def test_the_kind_is_chosen_in_the_config():
    read = from_mapping(OuterConfig, {"balancing": {"cvar": {"fraction": 0.1}}}, source="outer.yaml")
    assert read.balancing == CVaRConfig(0.1)
    assert from_mapping(OuterConfig, {"balancing": "mgda"}, source="outer.yaml").balancing == MGDAConfig()
    assert OuterConfig().balancing == MeanConfig()
    assert isinstance(OuterConfig().balancing.make(Plane()), Balancing)
    with pytest.raises(ConfigError, match=r"key 'balancing\.cvar\.fraction': 1\.5 is out of range"):
        from_mapping(OuterConfig, {"balancing": {"cvar": {"fraction": 1.5}}}, source="outer.yaml")
