"""The bridge file of the tests' cart-pole."""

CARTPOLE = """
checkpoint: {checkpoint}
inputs:
  joints: {{topic: /joint_states, type: sensor_msgs/msg/JointState}}
obs:
  cart_position: {{input: joints, field: position, joint: slider}}
  pole_angle: {{input: joints, field: position, joint: hinge_1}}
  cart_velocity: {{input: joints, field: velocity, joint: slider}}
  pole_velocity: {{input: joints, field: velocity, joint: hinge_1}}
output: {{topic: /commands}}
"""
BRIDGE = f"""{CARTPOLE}
safety:
  rate_limits: {{{{slide: 100.0}}}}
  max_age: 5.0
  max_missed_deadlines: 1000
  ramp_seconds: 0.05
  recovery_seconds: 0.05
"""
"""Ages and deadlines are for a busy machine."""
