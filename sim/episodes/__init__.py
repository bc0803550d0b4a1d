"""Who acts, how episodes are run, and which episodes are collected for training."""
