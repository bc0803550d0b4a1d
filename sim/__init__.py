"""Simulation in MuJoCo: robots, scenarios in which they change, the oracle, collection, training and evaluation.

The installed package keeps the short name of this folder, `sim`. The code of users imports it by that name, as the README does,
and what runs in a checkout runs the same way after `pip install`. Another project may have a package `sim`, too. So this one says
in `DISTRIBUTION` whose it is, and the command line refuses any other. If `sim` and `adaptive_mbrl` come from two installations,
this file refuses.

What `__all__` lists is public and explained in docs/api.md. A name is loaded when it is used for the first time.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import adaptive_mbrl
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.lazy_names import lazy_names

DISTRIBUTION = "adaptive-mbrl"
"""The project that this package is a part of."""

_HERE, _CORE = (Path(file).resolve().parent for file in (__file__, adaptive_mbrl.__file__))
if _HERE.parent != _CORE.parent:
    raise ConfigError(f"the packages {_HERE} and {_CORE} are parts of two installations of {DISTRIBUTION}; keep one of them")

if TYPE_CHECKING:
    from sim.baselines.policy import load_baseline
    from sim.baselines.vec_env import SB3VecEnv
    from sim.environment.scenario_env import ScenarioEnv
    from sim.episodes.policies import ControllerPolicy, OraclePolicy, Policy, RandomPolicy, load_controller
    from sim.episodes.recorded import Recorded
    from sim.episodes.run import run_scenarios
    from sim.evaluation.evaluate import Evaluation, evaluate
    from sim.evaluation.report import make_report
    from sim.evaluation.setup import Setup, prepare
    from sim.identification.controller import hybrid_controller, physics_controller
    from sim.robot import Robot, load_robot
    from sim.robot.environment import EnvironmentRobot, environment_robot
    from sim.robot.loading import load_task
    from sim.scenarios import Change, Scenario, ScenarioDistribution, ScheduledChange, load_scenario
    from sim.simulation import BatchSimulation, OraclePredictor, SimulationError
    from sim.training.config import load_train_config
    from sim.training.train import train
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "sim.baselines.policy": "load_baseline",
            "sim.baselines.vec_env": "SB3VecEnv",
            "sim.environment.scenario_env": "ScenarioEnv",
            "sim.episodes.policies": "ControllerPolicy OraclePolicy Policy RandomPolicy load_controller",
            "sim.episodes.recorded": "Recorded",
            "sim.episodes.run": "run_scenarios",
            "sim.evaluation.evaluate": "Evaluation evaluate",
            "sim.evaluation.report": "make_report",
            "sim.evaluation.setup": "Setup prepare",
            "sim.identification.controller": "hybrid_controller physics_controller",
            "sim.robot": "Robot load_robot",
            "sim.robot.environment": "EnvironmentRobot environment_robot",
            "sim.robot.loading": "load_task",
            "sim.scenarios": "Change Scenario ScenarioDistribution ScheduledChange load_scenario",
            "sim.simulation": "BatchSimulation OraclePredictor SimulationError",
            "sim.training.config": "load_train_config",
            "sim.training.train": "train",
        },
    )

__all__ = [
    "BatchSimulation",
    "Change",
    "ControllerPolicy",
    "EnvironmentRobot",
    "Evaluation",
    "OraclePolicy",
    "OraclePredictor",
    "Policy",
    "RandomPolicy",
    "Recorded",
    "Robot",
    "SB3VecEnv",
    "Scenario",
    "ScenarioDistribution",
    "ScenarioEnv",
    "ScheduledChange",
    "Setup",
    "SimulationError",
    "environment_robot",
    "evaluate",
    "hybrid_controller",
    "load_baseline",
    "load_controller",
    "load_robot",
    "load_scenario",
    "load_task",
    "load_train_config",
    "make_report",
    "physics_controller",
    "prepare",
    "run_scenarios",
    "train",
]
