"""The ROS 2 side of the controller: converts and supervises, contains no learning. Its modules come with the ROS 2 node."""
