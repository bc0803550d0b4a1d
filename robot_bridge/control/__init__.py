"""The control loop, and its way from messages to plans and commands."""
