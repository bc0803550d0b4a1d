"""What stands between planner and actuator."""
