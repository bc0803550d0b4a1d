"""Stores of episodes as datasets of LeRobot, format v3.0, and the other way round.

LeRobot (Cadene et al. 2024, https://github.com/huggingface/lerobot) is the robot learning library of Hugging Face. Its package is
not needed here: the format is Parquet and JSON.
"""
