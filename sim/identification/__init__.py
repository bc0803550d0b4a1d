"""Classical adaptive control with a simulator: estimate the parameters of the physics, and plan in it."""
