"""What the operating system lets this process do for punctuality: real-time priority, locked memory, the processor's clock."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

CAP_IPC_LOCK, CAP_SYS_NICE = 14, 23
"""Linux's numbers of the capabilities that lift the two limits."""
_CPUFREQ = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def has_capability(number: int) -> bool:
    """Whether a capability is in force for this process."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def highest_priority() -> int:
    """The highest priority of SCHED_FIFO that the limits allow; 0 if none is."""
    return 99 if has_capability(CAP_SYS_NICE) else limit(resource.RLIMIT_RTPRIO)


def may_lock_memory() -> bool:
    """Whether all memory, also what is asked for later, may be locked.

    With a finite limit the process would fail as soon as it takes more memory than that, so such a limit counts as none.
    """
    return has_capability(CAP_IPC_LOCK) or limit(resource.RLIMIT_MEMLOCK) == resource.RLIM_INFINITY


def limit(which: int) -> int:
    """The soft limit of a resource, as `resource.getrlimit` counts it."""
    return resource.getrlimit(which)[0]


def preemption() -> str:
    """How far the kernel lets itself be interrupted, such as ``PREEMPT_RT``."""
    words = platform.version().split()
    return next((word for word in words if word.startswith("PREEMPT")), "unknown")


def describe() -> dict[str, str]:
    """What is permitted here, for people, by subject."""
    memory = limit(resource.RLIMIT_MEMLOCK)
    governor = _CPUFREQ.read_text(encoding="utf-8").strip() if _CPUFREQ.exists() else "unknown: no cpufreq here"
    return {
        "kernel": f"{platform.release()}, {preemption()}",
        "real time": f"SCHED_FIFO up to {highest_priority()} (rtprio limit {limit(resource.RLIMIT_RTPRIO)}, "
        f"CAP_SYS_NICE {_yes(has_capability(CAP_SYS_NICE))})",
        "locked memory": f"{'allowed' if may_lock_memory() else 'not allowed'} "
        f"(memlock limit {'unlimited' if memory == resource.RLIM_INFINITY else f'{memory >> 10} KiB'}, "
        f"CAP_IPC_LOCK {_yes(has_capability(CAP_IPC_LOCK))})",
        "cpu governor": governor,
        "usable cores": ", ".join(map(str, sorted(os.sched_getaffinity(0)))),
    }


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"
