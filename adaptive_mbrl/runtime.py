"""Settings of the process that must be made before torch is loaded; without them a busy machine is many times slower."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import warnings

WAIT_POLICY = "OMP_WAIT_POLICY"
THREADS = "OMP_NUM_THREADS"
RANK, WORLD_SIZE = "RANK", "WORLD_SIZE"
"""By these a launcher tells a process its number, and how many there are."""
_PR_SET_PDEATHSIG = 1
"""Linux's number of the setting that a process gets a signal when its parent dies."""
# glibc's numbers of mallopt's parameters, what each is set to [bytes], and how a user names it in the environment
_MALLOC = {
    "trim_threshold": (-1, 1 << 30, "MALLOC_TRIM_THRESHOLD_"),
    "mmap_threshold": (-3, 1 << 25, "MALLOC_MMAP_THRESHOLD_"),
}


def prepare_process() -> None:
    """Make this process fast; call it before anything imports torch.

    The command line does so by itself. A script of your own calls it in its first lines:

        from adaptive_mbrl import prepare_process

        prepare_process()

    Two things change, each only if the environment does not say otherwise:

    - OpenMP threads that wait for work sleep instead of spinning (``OMP_WAIT_POLICY=PASSIVE``). Spinning threads take the cores
      from those that have work, which makes a busy machine many times slower.
    - glibc keeps large blocks of freed memory instead of giving them back at once. Otherwise page faults take a third of a
      training step.

    A second call changes nothing.

    Warns:
        RuntimeWarning: torch is already loaded. OpenMP has then read its settings, and only the second part has an effect.
    """
    if WAIT_POLICY not in os.environ:
        if "torch" in sys.modules:
            warnings.warn(
                f"prepare_process() came after torch was imported, so {WAIT_POLICY}=PASSIVE has no effect on this process; "
                "call it before the first import of torch",
                RuntimeWarning,
                stacklevel=2,
            )
        # processes that this one starts get it in any case
        os.environ[WAIT_POLICY] = "PASSIVE"
    _keep_freed_memory()


def num_threads() -> int:
    """Number of threads that torch and the simulator use in this process.

    There is one rule. It is the number of the flag `--threads` if a command was given it, else that of the environment variable
    ``OMP_NUM_THREADS``, else the number of cores that this process may use. (A list such as ``4,2`` counts as its first number.)

    What is simulated does not depend on it. What torch computes may differ in the last digits.
    """
    first, _, _ = os.environ.get(THREADS, "").partition(",")
    given = int(first) if first.strip().isdecimal() else 0
    return given or len(os.sched_getaffinity(0))


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent ends, however that happens; on Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def is_launched() -> bool:
    """Whether a launcher such as torchrun has started this process as one of several."""
    return os.environ.get(WORLD_SIZE, "1") != "1"


def is_first_process() -> bool:
    """Whether this is the process that talks to people: the first of those that a launcher has started, or the only one."""
    return os.environ.get(RANK, "0") == "0"


def use_threads(wanted: int | None) -> None:
    """Settle `num_threads` for this process and those that it starts.

    Call it before anything imports torch, so that all libraries see the number, and once more when torch is loaded.

    Args:
        wanted: the value of the flag `--threads`; None if it was not given.
    """
    if wanted is not None:
        os.environ[THREADS] = str(wanted)
    os.environ[THREADS] = str(num_threads())
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(num_threads())


def _keep_freed_memory() -> None:
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    for name, (parameter, size, variable) in _MALLOC.items():
        if variable not in os.environ and f"glibc.malloc.{name}=" not in tunables:
            mallopt(parameter, size)
