"""The machine that a measurement of the bridge was made on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from adaptive_mbrl.machine import cpu_model
from adaptive_mbrl.revision import git_revision

PACKAGES = ("numpy", "torch", "cyclonedds", "rosbags")


def machine() -> dict[str, Any]:
    """Processor, cores, load, versions and the commit."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "load_1_min": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "ros_distro": os.environ.get("ROS_DISTRO"),
        "revision": git_revision(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
