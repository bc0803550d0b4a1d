r"""Experts of single situations, and the prior that is distilled from them: Distral (Teh et al. 2017, arXiv 1707.04175).

    L = mean over the query's steps of  KL( N(m_b, s_b^2) || N(m_0, s_0^2) )
    KL = sum over channels of  log(s_0 / s_b) + (s_b^2 + (m_b - m_0)^2) / (2 s_0^2) - 1/2

m_b and s_b are what is predicted under the adapted belief, which is the expert of the window's situation, m_0 and s_0 what is
predicted under the prior, each from the true observations of the query. With the rule `embedding` there is literally one expert
for each training situation; with the other rules the expert is what the window makes of the prior.

In Distral experts and distilled policy maximise one objective together, in which this KL divergence stands once. So neither side
is detached here. The derivative through the expert keeps it close to what is common to all situations; the derivative through
the prior is distillation, which makes the prior the centre of its experts. Together they are the gradient of

    KL(expert || prior as a constant) + KL(expert as a constant || prior)

With `gradient: {reptile: true}` the derivative through the expert does not reach the start of the inner steps, which Reptile
moves in its own way: of the two, the start gets the second only.

Distral's bonus for the entropy of the experts is about exploring, and has no counterpart in a model. A std is that of
`Predictor.predict`: it has the spread of the members and the uncertainty of a posterior in it, so that the prior may also come
closer to its experts by being less certain.
"""

from __future__ import annotations

from torch import Tensor

from adaptive_mbrl.data.windows import Windows
from adaptive_mbrl.dynamics.normalizer import Normalizer
from adaptive_mbrl.predictor import Prediction, Predictor


def distillation_loss(expert: Predictor, prior: Predictor, windows: Windows, normalizer: Normalizer) -> Tensor:
    """KL divergence of the expert's one-step predictions from the prior's, mean over the query's steps [nat], (W,)."""
    before = windows.obs[:, :-1]
    return gaussian_kl(expert.predict(before, windows.action), prior.predict(before, windows.action), normalizer).mean(1)


def gaussian_kl(first: Prediction, second: Prediction, normalizer: Normalizer) -> Tensor:
    """KL(first || second) of predictions with independent channels [nat]: (B, N, obs_dim) each -> (B, N).

    Args:
        first: what the divergence is the expectation under.
        second: the other one.
        normalizer: takes the difference of angles on their circle.
    """
    ratio = first.std / second.std
    apart = normalizer.wrap(first.mean - second.mean) / second.std
    return (0.5 * (ratio.square() + apart.square() - 1) - ratio.log()).sum(-1)
