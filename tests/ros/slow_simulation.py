"""A process that stands in for a simulator at half the speed of real time: /clock, and joints that are stamped by it."""

import sys
import threading
import time

import rclpy
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState

BEGIN, SPEED, PERIOD = 1000.0, 0.5, 0.01

rclpy.init()
node = Node("slow_simulation")
clock, joints = node.create_publisher(Clock, "/clock", 1), node.create_publisher(JointState, "/joint_states", 1)
end, begun = threading.Event(), time.monotonic()
threading.Thread(target=lambda: (sys.stdin.read(), end.set()), daemon=True).start()
print("ready", flush=True)
step = 0
while not end.wait(PERIOD):
    # a sensor that keeps exactly its value would be a stuck one
    step, noise = step + 1, 1e-6 * (step % 2)
    now = BEGIN + SPEED * (time.monotonic() - begun)
    time_message = Clock()
    message = JointState(name=["slider", "hinge_1"], position=[noise, 0.1 + noise], velocity=[noise, noise])
    for stamp in (time_message.clock, message.header.stamp):
        stamp.sec, stamp.nanosec = int(now), int(1e9 * (now % 1))
    clock.publish(time_message)
    joints.publish(message)
rclpy.try_shutdown()
