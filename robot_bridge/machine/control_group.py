"""What the control group of this process allows: how often it was throttled, and how much memory it has left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
UNLIMITED = 1 << 60
"""A limit above this is none; older kernels write a very large number."""


@dataclass(frozen=True)
class GroupMemory:
    """Memory of the control group.

    Attributes:
        used: what cannot be taken back, without files that are cached and not in use [bytes].
        limit: the limit [bytes].
    """

    used: int
    limit: int


class ControlGroup:
    """The control group of this process, of version 1 or 2; without one nothing is known.

    Args:
        root: where control groups are mounted.
        own: the file that names those of this process.
    """

    def __init__(self, root: Path = ROOT, own: Path = Path("/proc/self/cgroup")) -> None:
        groups = dict(_groups(own))
        self._cpu = list(_folders(root, "cpu", groups))
        self._memory = list(_folders(root, "memory", groups))

    def throttled(self) -> int | None:
        """How often the group had used up its processor time and had to wait; None if that is not known."""
        for folder in self._cpu:
            text = _read(folder / "cpu.stat")
            values = dict(line.split()[:2] for line in text.splitlines() if len(line.split()) >= 2)
            if "nr_throttled" in values:
                return int(values["nr_throttled"])
        return None

    def memory(self) -> GroupMemory | None:
        """The memory of the group; None if it has no limit."""
        for folder in self._memory:
            for limit, usage, cached in (
                ("memory.max", "memory.current", "inactive_file"),
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
            ):
                allowed, used = _read(folder / limit).strip(), _read(folder / usage).strip()
                if not (allowed.isdigit() and used.isdigit()) or int(allowed) > UNLIMITED:
                    continue
                stat = dict(line.split()[:2] for line in _read(folder / "memory.stat").splitlines() if len(line.split()) >= 2)
                return GroupMemory(max(0, int(used) - int(stat.get(cached, 0))), int(allowed))
        return None


def _groups(own: Path) -> Iterator[tuple[str, str]]:
    """The path of the process's group of each controller; that of version 2 is under an empty name."""
    for line in _read(own).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            yield controller, path


def _folders(root: Path, controller: str, groups: dict[str, str]) -> Iterator[Path]:
    for mount, path in ((root / controller, groups.get(controller)), (root, groups.get(""))):
        if path is not None:
            yield mount / path.lstrip("/")
            # in a container the path may be that of the host, and the mount be the group itself
            yield mount


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
