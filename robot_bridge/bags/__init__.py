"""Recording into rosbag2 files, and their import as episodes for training."""
