"""dm_control's suite: imported without its warnings, and its tasks by name."""

from __future__ import annotations

import warnings

from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError

with warnings.catch_warnings():
    # it looks for a window system, and warns where there is none
    warnings.simplefilter("ignore")
    from dm_control import suite
    from dm_control.rl.control import Environment, PhysicsError

__all__ = ["Environment", "PhysicsError", "suite", "task_of"]


def task_of(name: str) -> tuple[str, str]:
    """The domain and the task of a name such as ``walker/walk``.

    Raises:
        ConfigError: the suite has no such task.
    """
    tasks = [f"{domain}/{task}" for domain, task in suite.ALL_TASKS]
    domain, _, task = name.partition("/")
    if name not in tasks:
        own = [known for known in tasks if known.startswith(f"{domain}/")]
        allowed = ", ".join(own or dict.fromkeys(domain for domain, _ in suite.ALL_TASKS))
        raise ConfigError(f"unknown task '{name}'{did_you_mean(name, tasks)}; {'tasks' if own else 'domains'}: {allowed}")
    return domain, task
