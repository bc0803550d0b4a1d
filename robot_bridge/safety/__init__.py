"""The safety supervisor and the watchdog, which stand between planner and actuators."""
