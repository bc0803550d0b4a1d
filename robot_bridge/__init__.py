"""The ROS 2 side of the controller: it converts messages and supervises commands, and contains no learning."""
