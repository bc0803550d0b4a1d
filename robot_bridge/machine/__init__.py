"""The machine that the bridge runs on: what it grants, and what it does to the control loop."""
