"""Recordings of messages (MCAP files and rosbag2 folders) as columns: topics and their fields, each with stamps of its own."""
