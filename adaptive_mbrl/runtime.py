"""Settings of the process that must be made before torch is loaded; without them a busy machine is many times slower."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings

WAIT_POLICY = "OMP_WAIT_POLICY"
# glibc's numbers of mallopt's parameters, what each is set to [bytes], and how a user names it in the environment
_MALLOC = {
    "trim_threshold": (-1, 1 << 30, "MALLOC_TRIM_THRESHOLD_"),
    "mmap_threshold": (-3, 1 << 25, "MALLOC_MMAP_THRESHOLD_"),
}


def prepare_process() -> None:
    """Make this process fast; call it before anything imports torch.

    The command line does so by itself. A script of your own calls it in its first lines:

        from adaptive_mbrl.runtime import prepare_process

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
