"""Fits a learned termination to episodes: logistic regression with a small network.

Ends are rare: one step in hundreds. So half of each batch are ends. Afterwards the limit from which on a logit means an end is
put where the harmonic mean of two shares is highest (F1): of the ends, those that are found, and of what is found, those that
are ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from adaptive_mbrl.data.episode import Episode
from adaptive_mbrl.data.statistics import transition_statistics
from adaptive_mbrl.errors import DivergenceError
from adaptive_mbrl.meta.cosine_fit import descend
from adaptive_mbrl.meta.transitions_of import LabelledTransitions, transitions_of
from adaptive_mbrl.planning.learned_termination import LearnedTermination


def fit_termination(
    termination: LearnedTermination, training: Sequence[Episode], held_out: Sequence[Episode] = (), seed: int = 0
) -> dict[str, float]:
    """Fit a termination in place; nothing is fitted as long as no episode has ended by itself.

    Args:
        termination: where to begin: new, or fitted to fewer episodes.
        training: episodes, branches included.
        held_out: others, which count for the limit and the figures, too.
        seed: fixes the order of the samples.

    Returns:
        Figures: the share of the ends that are found, and the share of the other steps that are taken for an end.

    Raises:
        DivergenceError: the fit is not finite.
    """
    data = transitions_of(training)
    ends, others = (torch.nonzero(flags)[:, 0] for flags in (data.ended, ~data.ended))
    if not len(ends) or not len(others):
        return {}
    network = termination.network
    network.normalizer.fit(transition_statistics(network.normalizer.spec, [(data.obs, data.next_obs)]))
    termination.train().requires_grad_(True)
    config, generator = termination.config, torch.Generator().manual_seed(seed)
    half = config.batch_size // 2
    wanted = torch.cat([torch.ones(half), torch.zeros(half)])

    def loss() -> Tensor:
        index = torch.cat([of[torch.randint(len(of), (half,), generator=generator)] for of in (ends, others)])
        rows = data.rows(index)
        logit = termination.logit(rows.obs, rows.action, rows.next_obs)
        return nn.functional.binary_cross_entropy_with_logits(logit, wanted)

    descend(network.net.parameters(), loss, config.updates, config.learning_rate)
    termination.eval().requires_grad_(False)
    return _limited(termination, transitions_of([*training, *held_out]))


@torch.no_grad()
def _limited(termination: LearnedTermination, data: LabelledTransitions) -> dict[str, float]:
    """Choose the limit, and return the figures."""
    logits = termination.logit(data.obs, data.action, data.next_obs)
    if not bool(logits.isfinite().all()):
        raise DivergenceError(
            "key 'learned_termination': the fit is not finite; a lower learned_termination.learning_rate may help"
        )
    order = logits.argsort(descending=True)
    hits = data.ended[order].float().cumsum(0)
    taken = 1 + torch.arange(len(hits))
    last = int((hits / (taken + hits[-1])).argmax())
    # in the middle between the last logit that means an end and the first one that does not
    around = logits[order[last : last + 2]]
    termination.limit.copy_(around.mean() if len(around) == 2 else around[0] - 1.0)
    found = logits > termination.limit
    return {
        "termination/found": float(found[data.ended].float().mean()),
        "termination/false_alarms": float(found[~data.ended].float().mean()),
    }
