"""What a belief can be asked about the physics of a simulated robot, and how well it knows."""
