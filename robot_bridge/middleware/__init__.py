"""Messages, and the two transports that carry them: Cyclone DDS and rclpy."""
