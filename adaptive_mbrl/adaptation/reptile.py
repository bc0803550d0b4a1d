"""Reptile (Nichol et al. 2018, arXiv 1803.02999), as what it is to the outer loop of the rule `gradient`.

    phi' = U_query^I(U_recent^I(phi)),     phi <- phi + epsilon mean over tasks of (phi' - phi)

U is one inner step, recent are the K transitions of a window and query the M that follow them: the start moves to where training
on the task leads. With g and H for gradient and Hessian of the inner loss at phi, and I = 1, to first order in alpha

    (phi - phi') / alpha = g_recent + g_query - alpha H_query g_recent

It is joint training on both parts, and a pull to where a step on what was seen is a step on what comes. As the paper proposes for
Adam, (phi - phi') / alpha takes the place of the gradient with respect to phi. It is the gradient of a term whose value is 0, so
that balancing, clipping and several processes treat it as any other, and the loss that is reported stays the query loss.

What differs from the paper:
- The paper's inner steps draw minibatches from all data of a task. Here all I steps on the recent transitions come first, which
  are the steps that control takes, and I steps on those of the query follow.
- Inner steps are plain gradient descent; the paper's are Adam's without momentum.
- phi may be a part of the network. The rest has no inner loop, and gets the ordinary gradient of the query loss under the adapted
  parameters, taken as constants.
- The displacement is divided by the numbers of inner steps, ensemble members and channels, too. That makes it the gradient of a
  mean, as the query loss is one, with which it shares the outer loop's clipping.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor


def without_start(moved: Tensor, start: Tensor) -> Tensor:
    """How far parameters have moved, such that the outer gradient of `start + moved` with respect to the start is 0."""
    return moved.detach() - (start - start.detach())


def pull(start: Iterable[Tensor], moved: Iterable[Tensor], scale: float) -> Tensor:
    """A term of the outer loss that is 0 and has the gradient -moved / scale with respect to the start.

    Args:
        start: phi in parts, each (P, W, ...).
        moved: phi' - phi in the same parts.
        scale: what it is divided by.

    Returns:
        (W,).
    """
    parts = [((s.detach() - s) * m.detach() / scale).transpose(0, 1) for s, m in zip(start, moved, strict=True)]
    return sum((part.flatten(1).sum(1) for part in parts[1:]), start=parts[0].flatten(1).sum(1))
