"""A belief of any rule as a few numbers of about one standard deviation, to see how it moves.

A belief may be a code of 16 numbers or all parameters of a network. It is projected onto a few random directions (Johnson and
Lindenstrauss 1984), which are scaled so that the beliefs about the checkpoint's recorded windows have a standard deviation of 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from adaptive_mbrl.adaptation.base import Adapter
from adaptive_mbrl.adaptation.belief import Belief, map_belief, tensors_of
from adaptive_mbrl.adaptation.reversal import ReversalBelief
from adaptive_mbrl.canary import Canary

Array = NDArray[np.float64]
DIRECTIONS = 8
"""Number of random directions."""
ENTRIES = 512
"""Of a longer belief, so many numbers are looked at, evenly spread, so that looking costs next to nothing."""
SIGN_STDS = 2.0
"""The weight of a motor's sign along each direction [belief stds]; a motor that turns moves the belief by twice that."""


class BeliefView:
    """Looks at the beliefs of one adapter.

    Args:
        adapter: makes the beliefs.
        canary: the windows that are recorded with its checkpoint.
    """

    def __init__(self, adapter: Adapter[Any], canary: Canary) -> None:
        device = adapter.normalizer.target_std.device
        recent = map_belief(lambda tensor: tensor.to(device), canary.windows.recent)
        with torch.no_grad():
            beliefs = [adapter.prior(1), adapter.infer(recent)]
        entries = np.concatenate([_entries(belief) for belief in beliefs])
        std = entries.std(0)
        generator = np.random.default_rng(0)
        signs = generator.choice([-1.0, 1.0], (DIRECTIONS, entries.shape[1]))
        # numbers that never change, such as those of unused parameters, are left out
        directions = np.divide(signs, std, out=np.zeros_like(signs), where=std > 1e-9 * max(1e-300, float(std.max(initial=0.0))))
        reach = (entries @ directions.T).std(0)
        self._directions = directions / np.where(reach > 0, reach, np.inf)[:, None]
        # none of the recorded robots need have a reversed motor
        self._of_signs = SIGN_STDS * generator.choice([-1.0, 1.0], (DIRECTIONS, len(canary.windows.recent.action[0, 0])))

    def __call__(self, belief: Belief) -> Array:
        """Where a belief about one robot lies on each direction [belief stds], (DIRECTIONS,)."""
        position: Array = _entries(belief)[0] @ self._directions.T
        if isinstance(belief, ReversalBelief):
            position = position + self._of_signs @ belief.signs.sign[0].cpu().double().numpy()
        return position


def _entries(belief: Belief) -> Array:
    """At most `ENTRIES` numbers of the beliefs about B robots, (B, n)."""
    # the sums behind the signs move with everything that is seen
    belief = belief.inner if isinstance(belief, ReversalBelief) else belief
    flat = [tensor.reshape(len(tensor), -1) for tensor in tensors_of(belief) if tensor.is_floating_point()]
    number = sum(tensor.shape[1] for tensor in flat)
    step = max(1, -(-number // ENTRIES))
    chosen: Tensor = torch.cat([tensor[:, ::step] for tensor in flat], dim=1)
    return chosen.detach().cpu().double().numpy()
