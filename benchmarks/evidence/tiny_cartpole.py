"""A cart-pole with a small checkpoint that was never trained, where it does not matter how well it balances."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from adaptive_mbrl.adaptation.gradient import GradientConfig
from adaptive_mbrl.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from adaptive_mbrl.config import save_yaml
from adaptive_mbrl.dynamics.model import ModelConfig
from adaptive_mbrl.planning import ICEMConfig
from robot_bridge.bridge_config import load_bridge_config
from sim.paths import find_config
from sim.robot.robot import load_robot

MODEL = ModelConfig(hidden=(32,), members=2)
PLANNER = ICEMConfig(horizon=5, num_samples=16, num_iterations=1, num_elites=4)
RULES, WINDOW = (GradientConfig(),), 8
LATE_PLANS = 1_000_000
"""As many deadlines in a row may be missed where plans may be late."""


def write_tiny_cartpole(folder: Path, dt: float, *, is_patient: bool = False) -> tuple[Path, Path]:
    """Write robot, checkpoint and bridge file into a folder.

    Args:
        folder: an empty folder.
        dt: control period [s].
        is_patient: whether plans and observations may be late, and a held robot starts again at once.

    Returns:
        The robot's file and the bridge file. Its topics are `/joint_states` and `/effort_controller/commands`.
    """
    shipped = load_checkpoint("cartpole").description
    robot_file = folder / "tiny_cartpole.yaml"
    robot_file.write_text(find_config("robots", "cartpole").read_text().replace("dt: 0.04", f"dt: {dt:g}"))
    # a simulation needs a period of whole physics steps; a bridge does not
    spec = replace(load_robot("cartpole").spec, dt=dt)
    about = replace(
        shipped, spec=spec, model=MODEL, planner=PLANNER, adaptation=RULES, window=WINDOW, provenance={"made by": "a benchmark"}
    )
    save_checkpoint(folder / "checkpoint", Checkpoint(about, about.make_adapter()))
    config, bridge = load_bridge_config(find_config("bridge", "cartpole")), folder / "bridge.yaml"
    # an untrained controller drives to the ends of the track, and its model explains nothing
    safety = replace(
        config.safety,
        obs_limits={},
        max_age=1.0 if is_patient else 0.1,
        ramp_seconds=0.0 if is_patient else config.safety.ramp_seconds,
        recovery_seconds=0.0 if is_patient else 0.5,
        max_missed_deadlines=LATE_PLANS if is_patient else config.safety.max_missed_deadlines,
        frozen_steps=0,
        max_jump=0.0,
        max_drift=0.0,
        derivatives={},
        rate_limits={"slide": 0.8 / dt},
    )
    save_yaml(bridge, replace(config, checkpoint=str(folder / "checkpoint"), safety=safety))
    return robot_file, bridge
