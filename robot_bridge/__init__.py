"""The ROS 2 side of the controller: converts and supervises, contains no learning."""
