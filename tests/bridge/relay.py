"""A process between a robot and the checks: passes its messages on, with everything that can be wrong with them.

python relay.py DOMAIN INPUT_TOPIC OUTPUT_TOPIC COMMANDS...

States come from INPUT_TOPIC and go on to /FAULT/joint_states, once for each fault. Commands come from /relay/commands and go on
to OUTPUT_TOPIC, where COMMANDS says of each place which number goes there, and with which sign: 2 1 -3.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from robot_bridge.middleware.dds import DdsTransport
from robot_bridge.middleware.messages import Float64MultiArray, Header, JointState, Message

_COUNT = count()
FAULTS: dict[str, Callable[[JointState], Message | None]] = {
    "nothing": lambda state: state,
    "renamed": lambda state: replace(state, name=[f"{name}_joint" for name in state.name]),
    "degrees": lambda state: replace(
        state, position=[math.degrees(p) for p in state.position], velocity=[math.degrees(v) for v in state.velocity]
    ),
    "frozen": lambda state: replace(state, header=Header()),
    "empty": lambda state: replace(state, velocity=[]),
    "nan": lambda state: replace(state, position=[math.nan] * len(state.position)),
    "slow": lambda state: state if next(_COUNT) % 30 == 0 else None,
    "type": lambda state: Float64MultiArray(data=state.position),
}


def main() -> None:
    domain, input_topic, output_topic, *places = sys.argv[1:]
    transport = DdsTransport(int(domain))
    publish = {
        name: transport.publisher(f"/{name}/joint_states", Float64MultiArray if name == "type" else JointState, reliable=False)
        for name in FAULTS
    }

    def pass_on(state: JointState, received: float) -> None:
        for name, change in FAULTS.items():
            changed = change(state)
            if changed is not None:
                publish[name](changed)

    command = transport.publisher(output_topic, Float64MultiArray)
    order = [(abs(int(place)) - 1, math.copysign(1.0, int(place))) for place in places]

    def turn(message: Float64MultiArray, received: float) -> None:
        command(Float64MultiArray(data=[sign * message.data[index] for index, sign in order]))

    transport.subscribe(input_topic, JointState, pass_on)
    transport.subscribe("/relay/commands", Float64MultiArray, turn, reliable=True)
    print("ready", flush=True)
    sys.stdin.read()
    transport.close()


if __name__ == "__main__":
    main()
