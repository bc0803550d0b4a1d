"""Baselines from Stable-Baselines3 on our scenarios: PPO, SAC and recurrent PPO, trained under changes drawn at random."""
