"""What a balancing is: it turns the losses of a meta-batch into the gradient of the meta-parameters.

    g = sum_t w_t grad L_t,      L_t = mean loss of the windows of training situation t

With equal weights the outer loop minimises the mean, and situations that are hard, rare or at odds with others count for little.
Each kind has its own w.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn

from adaptive_mbrl.adaptation.base import ParameterGroup
from adaptive_mbrl.process import SINGLE, Share


class Balancing(nn.Module):
    """Weighs training situations against each other.

    Its parameters are trained beside the meta-parameters, by the same optimiser; its buffers are state that is saved with the
    trainer. `backward` may change both; the trainer puts them back where the step is not taken. Where several processes train
    together, each has a share of the windows, and all of them come to the same state.
    """

    @property
    def windows_per_task(self) -> int:
        """Number of windows of each situation in a meta-batch; 0 where windows are drawn one by one."""
        return 0

    @abstractmethod
    def balance(self, losses: Tensor, task: Tensor, share: Share) -> None:
        """What `backward` does, for a share of a meta-batch: the mean of the processes' gradients is the gradient."""

    def backward(self, losses: Tensor, task: Tensor, share: Share | None = None) -> None:
        """Set the gradient of the meta-parameters, and of the parameters of this object.

        Args:
            losses: of each window, (W,).
            task: the training situation of each window, (W,).
            share: which windows of the meta-batch these are; all of them if not given. Where processes share a meta-batch, the
                gradient is the mean of theirs.
        """
        self.balance(losses, task, SINGLE.share(len(losses)) if share is None else share)

    def parameter_groups(self) -> list[ParameterGroup]:
        """See `Adapter.parameter_groups`; of this object's own parameters."""
        return []
