"""Opens the transport that the command line asks for."""

from __future__ import annotations

import os

from adaptive_mbrl.errors import ConfigError
from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.transport import Transport
from robot_bridge.topic_names import in_namespace, require_namespace


def open_transport(kind: str, name: str, domain: int | None, interface: str, namespace: str = "") -> Transport:
    """Connect to the ROS 2 network.

    Args:
        kind: `dds`, which needs no ROS 2 installation, or `rclpy`.
        name: the node's name, by which others know its publishers.
        domain: ROS 2's domain id; by default the environment variable ``ROS_DOMAIN_ID``, or 0.
        interface: the network interface for `dds`; `rclpy` takes it from ROS 2's own environment variables.
        namespace: the node's namespace; empty for none.

    Raises:
        ConfigError: this transport is not available here, or the namespace is none.
    """
    require_namespace(namespace)
    if kind == "dds":
        whole = in_namespace(namespace, name).lstrip("/")
        return DdsTransport(environment_domain() if domain is None else domain, interface, whole, namespace)
    try:
        from robot_bridge.middleware.ros import OwnNodeTransport
    except ImportError as error:
        raise ConfigError(f"--transport: rclpy cannot be loaded ({error}); source a ROS 2 install, or use dds") from error
    return OwnNodeTransport(name, domain, namespace)


def environment_domain() -> int:
    """The domain id that the environment variable ``ROS_DOMAIN_ID`` gives; 0 if it is not set."""
    text = os.environ.get("ROS_DOMAIN_ID") or "0"
    if not text.isdigit() or int(text) > 232:
        raise ConfigError(f"environment variable ROS_DOMAIN_ID: got '{text}'; allowed: 0 to 232")
    return int(text)
