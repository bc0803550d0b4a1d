"""Adaptive model-based meta-RL: a controller for robots whose dynamics change while they run.

What `__all__` lists is public and explained in docs/api.md; everything else may change at any time. A name is loaded when it is
used for the first time, so that importing this package loads neither torch nor numpy.
"""

from typing import TYPE_CHECKING

from adaptive_mbrl.lazy_names import lazy_names

__version__ = "0.2.0"

if TYPE_CHECKING:
    from adaptive_mbrl.adaptation import Adapter, make_adapter
    from adaptive_mbrl.adaptation.bayes_linear import BayesLinearConfig
    from adaptive_mbrl.adaptation.none import NoneConfig
    from adaptive_mbrl.adaptation.reversal import ReversalConfig
    from adaptive_mbrl.adaptation.rule import AdaptationRule, RecursiveRule
    from adaptive_mbrl.canary import check_canary
    from adaptive_mbrl.checkpoint import Checkpoint, Description, load_checkpoint, read_description, save_checkpoint
    from adaptive_mbrl.control.delay import DelayConfig
    from adaptive_mbrl.control.gate import GateConfig
    from adaptive_mbrl.control.step import ControlSettings
    from adaptive_mbrl.controller import AdaptiveController, Command, StepInfo, StepOptions
    from adaptive_mbrl.data.dataset import EpisodeDataset
    from adaptive_mbrl.data.episode import Episode
    from adaptive_mbrl.data.episodes import EpisodeStore
    from adaptive_mbrl.dynamics.model import DynamicsModel, ModelConfig
    from adaptive_mbrl.dynamics.network_predictor import NetworkPredictor
    from adaptive_mbrl.dynamics.normalizer import Normalizer
    from adaptive_mbrl.errors import (
        AdaptiveMBRLError,
        BridgeError,
        CheckpointError,
        ConfigError,
        DivergenceError,
        ObservationError,
    )
    from adaptive_mbrl.hub import pull_checkpoint, push_checkpoint
    from adaptive_mbrl.meta.trainer import MetaTrainer, OuterConfig
    from adaptive_mbrl.objective import Objective, RewardFunction, Term
    from adaptive_mbrl.planning import (
        CEMConfig,
        GradientPlannerConfig,
        ICEMConfig,
        MPPIConfig,
        RandomShootingConfig,
        make_planner,
    )
    from adaptive_mbrl.planning.base import Plan, Planner, PlanState
    from adaptive_mbrl.planning.risk import CVaRRiskConfig, MeanRiskConfig, WorstRiskConfig
    from adaptive_mbrl.planning.sampling import SamplingConfig, SamplingPlanner
    from adaptive_mbrl.planning.score import Score
    from adaptive_mbrl.predictor import Prediction, Predictor, Trajectories
    from adaptive_mbrl.runtime import prepare_process
    from adaptive_mbrl.spec import ActionChannel, Channel, HealthyRange, RobotSpec
    from adaptive_mbrl.training.config import TrainConfig, read_train_config
    from adaptive_mbrl.training.from_episodes import train_and_compare, train_from_episodes
    from adaptive_mbrl.transitions import Transitions
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "adaptive_mbrl.adaptation": "Adapter make_adapter",
            "adaptive_mbrl.adaptation.bayes_linear": "BayesLinearConfig",
            "adaptive_mbrl.adaptation.none": "NoneConfig",
            "adaptive_mbrl.adaptation.reversal": "ReversalConfig",
            "adaptive_mbrl.adaptation.rule": "AdaptationRule RecursiveRule",
            "adaptive_mbrl.canary": "check_canary",
            "adaptive_mbrl.checkpoint": "Checkpoint Description load_checkpoint read_description save_checkpoint",
            "adaptive_mbrl.control.delay": "DelayConfig",
            "adaptive_mbrl.control.gate": "GateConfig",
            "adaptive_mbrl.control.step": "ControlSettings",
            "adaptive_mbrl.controller": "AdaptiveController Command StepInfo StepOptions",
            "adaptive_mbrl.data.dataset": "EpisodeDataset",
            "adaptive_mbrl.data.episode": "Episode",
            "adaptive_mbrl.data.episodes": "EpisodeStore",
            "adaptive_mbrl.dynamics.model": "DynamicsModel ModelConfig",
            "adaptive_mbrl.dynamics.network_predictor": "NetworkPredictor",
            "adaptive_mbrl.dynamics.normalizer": "Normalizer",
            "adaptive_mbrl.errors": "AdaptiveMBRLError BridgeError CheckpointError ConfigError DivergenceError ObservationError",
            "adaptive_mbrl.hub": "pull_checkpoint push_checkpoint",
            "adaptive_mbrl.meta.trainer": "MetaTrainer OuterConfig",
            "adaptive_mbrl.objective": "Objective RewardFunction Term",
            "adaptive_mbrl.planning": "CEMConfig GradientPlannerConfig ICEMConfig MPPIConfig RandomShootingConfig make_planner",
            "adaptive_mbrl.planning.base": "Plan Planner PlanState",
            "adaptive_mbrl.planning.risk": "CVaRRiskConfig MeanRiskConfig WorstRiskConfig",
            "adaptive_mbrl.planning.sampling": "SamplingConfig SamplingPlanner",
            "adaptive_mbrl.planning.score": "Score",
            "adaptive_mbrl.predictor": "Prediction Predictor Trajectories",
            "adaptive_mbrl.runtime": "prepare_process",
            "adaptive_mbrl.spec": "ActionChannel Channel HealthyRange RobotSpec",
            "adaptive_mbrl.training.config": "TrainConfig read_train_config",
            "adaptive_mbrl.training.from_episodes": "train_and_compare train_from_episodes",
            "adaptive_mbrl.transitions": "Transitions",
        },
    )

__all__ = [
    "ActionChannel",
    "AdaptationRule",
    "Adapter",
    "AdaptiveController",
    "AdaptiveMBRLError",
    "BayesLinearConfig",
    "BridgeError",
    "CEMConfig",
    "CVaRRiskConfig",
    "Channel",
    "Checkpoint",
    "CheckpointError",
    "Command",
    "ConfigError",
    "ControlSettings",
    "DelayConfig",
    "Description",
    "DivergenceError",
    "DynamicsModel",
    "Episode",
    "EpisodeDataset",
    "EpisodeStore",
    "GateConfig",
    "GradientPlannerConfig",
    "HealthyRange",
    "ICEMConfig",
    "MPPIConfig",
    "MeanRiskConfig",
    "MetaTrainer",
    "ModelConfig",
    "NetworkPredictor",
    "NoneConfig",
    "Normalizer",
    "Objective",
    "ObservationError",
    "OuterConfig",
    "Plan",
    "PlanState",
    "Planner",
    "Prediction",
    "Predictor",
    "RandomShootingConfig",
    "RecursiveRule",
    "ReversalConfig",
    "RewardFunction",
    "RobotSpec",
    "SamplingConfig",
    "SamplingPlanner",
    "Score",
    "StepInfo",
    "StepOptions",
    "Term",
    "TrainConfig",
    "Trajectories",
    "Transitions",
    "WorstRiskConfig",
    "check_canary",
    "load_checkpoint",
    "make_adapter",
    "make_planner",
    "prepare_process",
    "pull_checkpoint",
    "push_checkpoint",
    "read_description",
    "read_train_config",
    "save_checkpoint",
    "train_and_compare",
    "train_from_episodes",
]
