"""Models that stand in for robots of MuJoCo Menagerie where it is not installed.

They have the names of Menagerie's joints, actuators, bodies and sites, which are all that our files refer to, and bodies of about
the right size and mass. Shapes, inertias and gains are not those of the robots.
"""

from __future__ import annotations

import os
from pathlib import Path

POSITION = '<position name="{actuator}" joint="{joint}" kp="{kp}" kv="{kv}" forcerange="-{force} {force}"/>'


def here(robot: str, file: str) -> bool:
    """Whether the environment variable MENAGERIE_ROOT names a copy of Menagerie with this file."""
    root = os.environ.get("MENAGERIE_ROOT")
    return root is not None and (Path(root) / robot / file).is_file()


def write_stand_ins(root: Path) -> Path:
    """Write all models; MENAGERIE_ROOT can name the folder."""
    for place, text in (
        ("unitree_go2/scene_mjx.xml", go2()),
        ("universal_robots_ur5e/scene.xml", ur5e()),
        ("robotstudio_so101/scene.xml", so101()),
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
    return root


def go2() -> str:
    """A body of 7 kg on four legs of three joints; its free joint has no name."""
    legs, actuators = "", ""
    for leg, x, y in (("FL", 0.19, 0.14), ("FR", 0.19, -0.14), ("RL", -0.19, 0.14), ("RR", -0.19, -0.14)):
        legs += f"""
      <body name="{leg}_hip" pos="{x} {y} 0">
        <joint name="{leg}_hip_joint" axis="1 0 0" range="-1 1" damping="1"/><geom type="sphere" size="0.04" mass="0.7"/>
        <body name="{leg}_thigh">
          <joint name="{leg}_thigh_joint" axis="0 1 0" range="-1.5 3.4" damping="1"/>
          <geom type="capsule" fromto="0 0 0 0 0 -0.21" size="0.02" mass="1.1"/>
          <body name="{leg}_calf" pos="0 0 -0.21">
            <joint name="{leg}_calf_joint" axis="0 1 0" range="-2.7 -0.8" damping="1"/>
            <geom type="capsule" fromto="0 0 0 0 0 -0.21" size="0.02" mass="0.25" friction="0.8"/>
          </body></body></body>"""
        for part in ("hip", "thigh", "calf"):
            actuators += POSITION.format(actuator=f"{leg}_{part}", joint=f"{leg}_{part}_joint", kp=50, kv=1, force=24)
    stand = " ".join(["0 0.9 -1.8"] * 4)
    return f"""<mujoco><compiler angle="radian" autolimits="true"/>
  <default><joint armature="0.01"/></default>
  <worldbody><geom name="floor" type="plane" size="0 0 1"/>
    <body name="base" pos="0 0 0.45"><freejoint/><geom type="box" size="0.19 0.05 0.06" mass="6.9"/>{legs}</body></worldbody>
  <actuator>{actuators}</actuator>
  <keyframe><key name="home" qpos="0 0 0.29 1 0 0 0 {stand}" ctrl="{stand}"/></keyframe></mujoco>"""


def ur5e() -> str:
    """Six links one after the other, and the site of a flange."""
    links = (
        ("shoulder_pan", "shoulder_link", "0 0 0.16", "0 0 1", 3.7),
        ("shoulder_lift", "upper_arm_link", "0 0.14 0", "0 1 0", 8.4),
        ("elbow", "forearm_link", "0 -0.13 0.42", "0 1 0", 2.3),
        ("wrist_1", "wrist_1_link", "0 0 0.39", "0 1 0", 1.2),
        ("wrist_2", "wrist_2_link", "0 0.13 0", "0 0 1", 1.2),
        ("wrist_3", "wrist_3_link", "0 0 0.1", "0 1 0", 0.2),
    )
    home = "-1.5708 -1.5708 1.5708 -1.5708 -1.5708 0"
    return _arm(links, "{}_joint", '<site name="attachment_site" pos="0 0.1 0"/>', kp=2000, kv=400, force=150, home=home)


def so101() -> str:
    """Five links and a gripper, with weak servos; there is no keyframe."""
    links = (
        ("shoulder_pan", "shoulder", "0 0 0.06", "0 0 1", 0.1),
        ("shoulder_lift", "upper_arm", "0 0 0.05", "0 1 0", 0.1),
        ("elbow_flex", "lower_arm", "0 0 0.11", "0 1 0", 0.1),
        ("wrist_flex", "wrist", "0 0 0.13", "0 1 0", 0.08),
        ("wrist_roll", "gripper", "0 0 0.06", "0 0 1", 0.09),
        ("gripper", "moving_jaw_so101_v1", "0 0 0.03", "0 1 0", 0.01),
    )
    return _arm(links, "{}", '<site name="gripperframe"/>', kp=15, kv=1, force=3, home=None)


def _arm(
    links: tuple[tuple[str, str, str, str, float], ...],
    joint: str,
    site: str,
    *,
    kp: float,
    kv: float,
    force: float,
    home: str | None,
) -> str:
    inside = site
    for name, body, place, axis, mass in reversed(links):
        inside = (
            f'<body name="{body}" pos="{place}"><joint name="{joint.format(name)}" axis="{axis}" range="-3.2 3.2"/>'
            f'<geom type="sphere" size="0.02" mass="{mass}" contype="0" conaffinity="0"/>{inside}</body>'
        )
    actuators = "".join(POSITION.format(actuator=name, joint=joint.format(name), kp=kp, kv=kv, force=force) for name, *_ in links)
    keyframe = f'<keyframe><key name="home" qpos="{home}" ctrl="{home}"/></keyframe>' if home else ""
    return f"""<mujoco><compiler angle="radian" autolimits="true"/><option integrator="implicitfast"/>
  <default><joint armature="0.05" damping="0.5"/></default>
  <worldbody>{inside}</worldbody><actuator>{actuators}</actuator>{keyframe}</mujoco>"""
