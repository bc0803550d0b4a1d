"""Does adapting hurt? The belief and the prior compete in predicting each observation before it is seen.

    ratio_t = m ratio_{t-1} + (1 - m) log( error of the belief / error of the prior )

While the ratio is positive the belief predicts worse, and a controller plans under the prior.
"""

from __future__ import annotations

import torch
from torch import Tensor

MEMORY = 0.9
"""m, the weight of the past."""
MAX_LOG_RATIO = 3.0
"""The most that one step counts, so that a spike does not decide for long."""


def updated_ratio(ratio: Tensor, prior_error: Tensor, adapted_error: Tensor, started: Tensor) -> Tensor:
    """The running comparison after one more observation, (B,).

    Args:
        ratio: the comparison so far, (B,).
        prior_error: one-step error of the prior, (B,).
        adapted_error: one-step error of the belief of the step before, (B,).
        started: whether there was a step before, (B,) bool; without one nothing is compared.
    """
    log_ratio = (adapted_error.clamp(min=1e-8) / prior_error.clamp(min=1e-8)).log()
    # a prediction that is no number is as wrong as can be
    log_ratio = log_ratio.nan_to_num(nan=MAX_LOG_RATIO).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
    return MEMORY * ratio + (1 - MEMORY) * torch.where(started, log_ratio, 0.0)


def is_harmful(ratio: Tensor) -> Tensor:
    """Where the belief has been predicting worse than the prior, (B,) bool."""
    return ratio > 0
