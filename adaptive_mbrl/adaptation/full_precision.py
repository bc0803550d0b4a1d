"""Linear algebra of a belief, which needs more digits than the network's products."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(like: Tensor) -> torch.autocast:
    """Switches autocast off on a tensor's device: in bfloat16 a small noise variance would vanish beside what the data say."""
    return torch.autocast(like.device.type, enabled=False)
