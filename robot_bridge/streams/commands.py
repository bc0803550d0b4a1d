"""The sub-commands `foxglove layout`, `foxglove stream`, `rerun export` and `rerun stream`."""

from __future__ import annotations

import json

from adaptive_mbrl.options.streams import FoxgloveLayoutOptions, FoxgloveStreamOptions, RerunExportOptions, RerunStreamOptions
from adaptive_mbrl.storage import write_text_atomically
from robot_bridge.middleware.connect import open_transport
from robot_bridge.stopping import stop_on_signals
from robot_bridge.streams.foxglove_layout import foxglove_layout
from robot_bridge.streams.foxglove_stream import FoxgloveStream
from robot_bridge.streams.message_paths import expected_joint_orders, recorded_joint_orders
from robot_bridge.streams.rerun_export import export
from robot_bridge.streams.rerun_stream import RerunStream
from robot_bridge.streams.watched import Watched

STREAM = "adaptive_mbrl_stream"
"""The name of the streams' own node, with `rclpy`."""


def layout(options: FoxgloveLayoutOptions) -> None:
    """Write the layout of a robot for Foxglove."""
    watched = Watched.load(options.bridge, options.node)
    orders = expected_joint_orders(watched) if options.bag is None else recorded_joint_orders(watched, options.bag)
    made = json.loads(foxglove_layout(watched, orders).to_json())
    write_text_atomically(options.out, json.dumps(made, indent=1) + "\n")
    print(f"{options.out}: open it in Foxglove with 'Import from file' in the menu of layouts")


def stream_to_foxglove(options: FoxgloveStreamOptions) -> None:
    """Serve what a bridge publishes to Foxglove, until a signal comes."""
    stream = FoxgloveStream(Watched.load(options.bridge, options.node), options.port, options.host)
    _stream(stream, options, f"open Foxglove with the connection {stream.url} (Foxglove WebSocket)")


def export_to_rerun(options: RerunExportOptions) -> None:
    """Turn a recording of a bridge into a recording of Rerun."""
    print(export(Watched.load(options.bridge, options.node), options.bag, options.out))


def stream_to_rerun(options: RerunStreamOptions) -> None:
    """Send what a bridge publishes to a viewer of Rerun, until a signal comes."""
    stream = RerunStream(Watched.load(options.bridge, options.node), options.viewer)
    _stream(stream, options, f"sending to the viewer at {options.viewer}")


def _stream(stream: FoxgloveStream | RerunStream, options: FoxgloveStreamOptions | RerunStreamOptions, greeting: str) -> None:
    stop = stop_on_signals()
    try:
        transport = open_transport(options.transport, STREAM, options.domain, options.interface)
        try:
            stream.listen(transport)
            print(greeting, flush=True)
            stop.wait()
        finally:
            transport.close()
    finally:
        stream.close()
    print(stream.report(), flush=True)
