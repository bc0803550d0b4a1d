"""A process that answers over the transport which its first argument names: joint states with a command, and two services."""

import sys

from robot_bridge.middleware.connect import open_transport
from robot_bridge.middleware.messages import Float64MultiArray, JointState, Response, SetBoolRequest, TriggerRequest

transport = open_transport(sys.argv[1], "peer", None, "lo")
answer = transport.publisher("/commands", Float64MultiArray)
transport.subscribe("/joint_states", JointState, lambda message, received: answer(Float64MultiArray(data=message.position[::-1])))
transport.serve("/peer/estop", TriggerRequest, lambda request: Response(True, "stopped"))
transport.serve("/peer/freeze", SetBoolRequest, lambda request: Response(not request.data, f"got {request.data}"))
print("ready", flush=True)
sys.stdin.read()
transport.close()
