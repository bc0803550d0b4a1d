"""What users do with stores of episodes: check, look, merge, split. The sub-commands of `adaptive-mbrl data`."""
