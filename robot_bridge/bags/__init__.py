"""From a robot back to training: recording and import of rosbag2."""
