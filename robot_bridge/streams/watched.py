"""The robot and the node that somebody looks at: their topics, and what the numbers in the messages are called."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from adaptive_mbrl.checkpoint import read_description
from adaptive_mbrl.errors import CheckpointError, ConfigError
from adaptive_mbrl.spec import RobotSpec
from robot_bridge.bridge_config import BridgeConfig, load_bridge_config, require_goal, require_spec
from robot_bridge.middleware.messages import MESSAGES, DiagnosticArray, Float64MultiArray, Message, String
from robot_bridge.node.adaptive_mpc import NODE_NAME
from robot_bridge.topic_names import in_namespace, namespace_of, with_whole_names
from robot_bridge.urdf import with_urdf_limits

DIAGNOSTICS = "/diagnostics"


@dataclass(frozen=True)
class Watched:
    """A robot behind a bridge, as its files describe it.

    Attributes:
        config: the bridge file.
        spec: the robot's channels.
        diagnosis_names: the physical parameters on `~/diagnosis`; none if the checkpoint has no diagnosis.
        node: name of the controller's node, with its namespace.
    """

    config: BridgeConfig
    spec: RobotSpec
    diagnosis_names: tuple[str, ...] = ()
    node: str = NODE_NAME

    @classmethod
    def load(cls, path: Path, node: str = NODE_NAME) -> Watched:
        """Read a bridge file and the description of the checkpoint that it names.

        Args:
            path: the bridge file.
            node: name of the controller's node, whose namespace is that of topics without a slash at the beginning.

        Raises:
            ConfigError: a file is wrong or missing, or the two do not fit.
        """
        config = with_whole_names(load_bridge_config(path), partial(in_namespace, namespace_of(node)))
        try:
            description = read_description(config.checkpoint)
        except CheckpointError as error:
            raise ConfigError(f"{path}: key 'checkpoint': {error}") from error
        require_spec(config, description.spec, str(path))
        config = with_urdf_limits(config, description.spec, str(path))
        require_goal(config, description.goal_dim, str(path))
        diagnosis = description.diagnosis
        return cls(config, description.spec, () if diagnosis is None else diagnosis.names, node.strip("/"))

    def own_topic(self, name: str) -> str:
        """A topic of the node, for example `state` -> ``/adaptive_mpc/state``."""
        return f"/{self.node}/{name}"

    @property
    def topics(self) -> dict[str, type[Message]]:
        """Every topic that is about this robot, with the class of its messages: the node's own, inputs, commands, the goal."""
        config = self.config
        found: dict[str, type[Message]] = {self.own_topic(name): String for name in ("state", "reaction")}
        found[DIAGNOSTICS] = DiagnosticArray
        arrays = ("belief", "plan", "diagnosis") if self.diagnosis_names else ("belief", "plan")
        found |= {self.own_topic(name): Float64MultiArray for name in arrays}
        found |= {topic.topic: topic.message_type for topic in config.inputs.values()}
        found[config.output.topic] = MESSAGES[config.output.type]
        if config.goal is not None:
            found[config.goal.topic] = MESSAGES[config.goal.type]
        return found
