"""A training in several processes, which PyTorch's own launcher starts, on one machine or many.

    torchrun --standalone --nproc-per-node 2 -m -- adaptive_mbrl train --config cartpole

The launcher tells each process its rank through the environment, and starts all of them again where one has died. Processes on
CPUs speak through gloo; with GPUs, each takes one of its machine's, and tensors on them go through NCCL, unless there are fewer
GPUs than processes.
"""

from __future__ import annotations

import datetime
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from adaptive_mbrl.errors import AdaptiveMBRLError, ConfigError
from adaptive_mbrl.process import SINGLE, Process
from adaptive_mbrl.runtime import RANK, WORLD_SIZE

TIMEOUT = datetime.timedelta(hours=2)
"""How long a process waits for the others: as long as the main one may work alone."""


class LostProcessError(AdaptiveMBRLError):
    """Another process of the training has ended or does not answer."""


@dataclass(frozen=True)
class GroupProcess(Process):
    """One process of PyTorch's default group."""

    def reduce(self, tensors: Iterable[Tensor]) -> None:
        for same in _by_kind(tensors):
            # one message for all of them: small ones cost as much as large ones
            flat = torch.cat([tensor.detach().flatten() for tensor in same])
            with _nobody_lost():
                dist.all_reduce(flat)
            _scatter(flat / self.world_size, same)

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        for same in _by_kind(tensors):
            flat = torch.cat([tensor.detach().flatten() for tensor in same])
            with _nobody_lost():
                dist.broadcast(flat, src=0)
            _scatter(flat, same)

    def gather(self, value: Any) -> list[Any]:
        everything: list[Any] = [None] * self.world_size
        with _nobody_lost():
            dist.all_gather_object(everything, value)
        return everything

    def barrier(self) -> None:
        self.any(False)


@contextmanager
def process_of_launcher() -> Iterator[Process]:
    """This process as the launcher started it; the only one where no launcher did.

    Within the block, the process belongs to the group of all processes.

    Raises:
        ConfigError: the environment's numbers of processes contradict each other.
    """
    if WORLD_SIZE not in os.environ or RANK not in os.environ:
        yield SINGLE
        return
    rank, world_size = _number(RANK), _number(WORLD_SIZE)
    if not 0 <= rank < world_size:
        raise ConfigError(f"environment variable RANK: {rank} is not below WORLD_SIZE, {world_size}; start it with torchrun")
    if world_size == 1:
        yield SINGLE
        return
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(_number("LOCAL_RANK") % torch.cuda.device_count())
        # NCCL refuses processes that share a GPU
        backend = "cpu:gloo,cuda:nccl" if _number("LOCAL_WORLD_SIZE") <= torch.cuda.device_count() else "gloo"
    with _nobody_lost():
        dist.init_process_group(backend, store=_store(), rank=rank, world_size=world_size, timeout=TIMEOUT)
    try:
        yield GroupProcess(rank, world_size)
    finally:
        dist.destroy_process_group()


def _store() -> Any:
    """Where the processes find each other.

    The launcher keeps one store for all its attempts, and in the next one the addresses of the last would be found there. On one
    machine each attempt has a number. Launchers on several machines count by themselves; docs/scaling.md says what to tell them.
    """
    store, _, _ = next(iter(rendezvous("env://")))
    if os.environ.get("GROUP_WORLD_SIZE") != "1":
        return store
    return dist.PrefixStore(  # type: ignore[attr-defined]
        f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store
    )


@contextmanager
def _nobody_lost() -> Iterator[None]:
    """Say what has happened where the others cannot be reached.

    Raises:
        LostProcessError: one of them has ended, or is not heard of for longer than `TIMEOUT`.
    """
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError(
            f"another process of this training was lost ({' '.join(str(error).split())[:120]}); what was saved is kept, and the "
            "launcher starts all of them again if it was given --max-restarts"
        ) from error


def _by_kind(tensors: Iterable[Tensor]) -> Iterable[list[Tensor]]:
    """Tensors that fit into one message: of the same device and number format."""
    kinds: dict[tuple[torch.device, torch.dtype], list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        kinds[tensor.device, tensor.dtype].append(tensor)
    return kinds.values()


@torch.no_grad()
def _scatter(flat: Tensor, into: Iterable[Tensor]) -> None:
    begin = 0
    for tensor in into:
        tensor.copy_(flat[begin : begin + tensor.numel()].view_as(tensor))
        begin += tensor.numel()


def _number(variable: str) -> int:
    text = os.environ.get(variable, "")
    if not text.isdecimal():
        raise ConfigError(f"environment variable {variable}: expected a number, got '{text}'; start it with torchrun")
    return int(text)
