"""What a robot is rewarded for where nobody has said it: one file for each task, and the choice between them."""

from __future__ import annotations

from adaptive_mbrl.errors import ConfigError
from sim.init.actuators import Actuator
from sim.init.anatomy import Anatomy
from sim.init.channels import forward
from sim.init.draft import Entry, Task
from sim.init.joints import HINGE
from sim.init.tasks.balance import balance, upright
from sim.init.tasks.posture import posture
from sim.init.tasks.reach import end_site, reach
from sim.init.tasks.run import run

TASKS = ("run", "balance", "reach", "posture")


def choose_task(anatomy: Anatomy, wanted: str | None) -> str:
    """The task that fits the robot.

    Args:
        anatomy: what is known of the model.
        wanted: the task that the user asks for; None to choose by the model.

    Raises:
        ConfigError: the model cannot do what the user asks for.
    """
    if wanted == "run" and forward(anatomy) is None:
        raise ConfigError("--task run: the robot has no base that moves freely; allowed: balance, reach, posture")
    if wanted == "reach" and end_site(anatomy) is None:
        raise ConfigError(
            '--task reach: the model has no site that moves with the robot; add one, such as <site name="hand"/>, '
            "to the body that is to reach, or choose balance or posture"
        )
    if wanted is not None:
        return wanted
    if anatomy.base:
        return "posture" if anatomy.flies or forward(anatomy) is None else "run"
    if _falls(anatomy):
        return "balance"
    return "posture" if end_site(anatomy) is None else "reach"


def make_task(name: str, anatomy: Anatomy, actuators: tuple[Actuator, ...], channels: tuple[Entry, ...]) -> Task:
    """What is rewarded, for one of `TASKS`."""
    makers = {"run": run, "balance": balance, "reach": reach, "posture": posture}
    return makers[name](anatomy, actuators, channels)


def _falls(anatomy: Anatomy) -> bool:
    """Whether something hangs or stands on a hinge that no actuator drives, or all there is is one hinge."""
    if not anatomy.has_gravity or anatomy.model.neq > 0:
        # what a constraint ties to something that moves does not hang loose
        return False
    own = [j for j in anatomy.limbs if anatomy.model.body_rootid[j.body] == anatomy.root]
    hinges = [j for j in own if j.kind == HINGE]
    loose = [j for j in hinges if not j.driven and anatomy.model.jnt_stiffness[j.index] == 0]
    return bool(loose) or (len(own) == 1 and bool(hinges) and bool(upright(anatomy)))
