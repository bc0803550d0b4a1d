"""ROS 2 messages as dataclasses, and the two transports that carry them: Cyclone DDS and rclpy."""
