"""Real-time priority, locked memory and cores of their own for the threads that must be punctual."""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from adaptive_mbrl.errors import BridgeError
from adaptive_mbrl.realtime_limits import limit, may_lock_memory
from robot_bridge.machine.cores import divided, keep_to, parse_cores

Realtime = Literal["off", "try", "require"]
CONTROL_PRIORITY, WATCHDOG_PRIORITY, GUARD_PRIORITY = 50, 51, 52
"""Priorities of SCHED_FIFO: whoever watches comes before whoever is watched. With PREEMPT_RT the kernel's interrupt threads have
50, so a network whose interrupts must come first needs a higher one there (`chrt`)."""
_RESET_ON_FORK = 0x40000000
"""Linux's flag that threads which are started by a real-time thread are ordinary ones."""
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_USABLE = frozenset(os.sched_getaffinity(0))
"""The cores of the process, before any of its threads was kept to some of them."""
LIMITS_FILE = "/etc/security/limits.d/adaptive-mbrl.conf"


@dataclass(frozen=True)
class Grant:
    """One thing that was asked of the operating system.

    Attributes:
        words: what was granted, or why it was not, and what would have to be written where.
        is_granted: whether it was.
    """

    words: str
    is_granted: bool = True


def grant_priorities(priorities: Mapping[int, int]) -> Grant:
    """Give threads of this process priorities of SCHED_FIFO.

    Args:
        priorities: the priority of each thread, by its native id.
    """
    wanted = sorted(set(priorities.values()))
    try:
        for thread, priority in priorities.items():
            os.sched_setscheduler(thread, os.SCHED_FIFO | _RESET_ON_FORK, os.sched_param(priority))
    except OSError as error:
        allowed = limit(resource.RLIMIT_RTPRIO)
        if allowed >= wanted[-1]:
            why = "the kernel refuses it in this control group (CONFIG_RT_GROUP_SCHED)"
        else:
            why = (
                f"needs CAP_SYS_NICE, or RLIMIT_RTPRIO {wanted[-1]} (it is {allowed}): write 'USER - rtprio {wanted[-1]}' into "
                f"{LIMITS_FILE}, or LimitRTPRIO={wanted[-1]} into the systemd unit"
            )
        return Grant(f"no SCHED_FIFO ({error.strerror}): {why}", is_granted=False)
    return Grant(f"SCHED_FIFO {', '.join(map(str, wanted))}")


def lock_memory() -> Grant:
    """Keep all memory of this process from being swapped out, also what it takes later."""
    if not may_lock_memory():
        return Grant(
            "memory is not locked: needs CAP_IPC_LOCK, or RLIMIT_MEMLOCK unlimited "
            f"(it is {limit(resource.RLIMIT_MEMLOCK)} bytes): write 'USER - memlock unlimited' into {LIMITS_FILE}, "
            "or LimitMEMLOCK=infinity into the systemd unit",
            is_granted=False,
        )
    libc = ctypes.CDLL(None, use_errno=True)
    # pages are locked once they are used; large areas that are only reserved, as by CUDA, would take all memory
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT):
        return Grant(f"memory is not locked: mlockall: {os.strerror(ctypes.get_errno())}", is_granted=False)
    return Grant("memory locked")


def grant_cores(text: str, threads: Mapping[int, int]) -> Grant:
    """Give punctual threads cores of their own, and everything else of this process the others.

    Args:
        text: the cores, such as ``2,3``; empty to choose.
        threads: the punctual threads, by their native ids.

    Raises:
        ConfigError: there is no such core.
    """
    own, others = divided(parse_cores(text), _USABLE)
    if own == others:
        return Grant(f"all threads on the same {len(own)} cores")
    try:
        for thread in threads:
            os.sched_setaffinity(thread, own)
        keep_to(others, threads)
    except OSError as error:
        return Grant(
            f"no cores of its own for the control loop ({error.strerror}): CPUAffinity= of the systemd unit and the control "
            "group's cpuset decide which ones may be used",
            is_granted=False,
        )
    return Grant(f"control loop on core {_listed(own)}, everything else on {_listed(others)}")


def make_punctual(realtime: Realtime, cpus: str, priorities: Mapping[int, int], *, keeps_cores: bool = False) -> tuple[str, ...]:
    """Ask for everything that makes threads punctual.

    Args:
        realtime: whether to ask, and whether a refusal is an error.
        cpus: the cores of these threads, as for `grant_cores`.
        priorities: the priority of each thread, by its native id.
        keeps_cores: whether no thread is kept to some cores, as in a process whose children would inherit it.

    Returns:
        A line about each thing that was granted or refused.

    Raises:
        BridgeError: something was refused that is required.
    """
    if realtime == "off":
        return ()
    # a mistake in the cores must be told before anything is changed
    divided(parse_cores(cpus), _USABLE)
    grants = [grant_priorities(priorities), lock_memory()]
    if not keeps_cores:
        grants.append(grant_cores(cpus, priorities))
    refused = [grant.words for grant in grants if not grant.is_granted]
    if refused and realtime == "require":
        raise BridgeError(f"realtime: {'; '.join(refused)}")
    granted = ", ".join(grant.words for grant in grants if grant.is_granted)
    return (*([f"realtime: {granted}"] if granted else []), *(f"warning: realtime: {words}" for words in refused))


def _listed(cores: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(cores)))
