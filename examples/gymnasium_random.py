"""A random agent on a robot whose motor dies in mid-episode: how our scenarios are used through Gymnasium."""

import gymnasium

import sim.environment  # noqa: F401  (registers the ids)

env = gymnasium.make("adaptive_mbrl/HalfCheetahCadmCripple-v0", part="test")
obs, info = env.reset(seed=0)
env.action_space.seed(0)
total, over = 0.0, False
while not over:
    obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
    total, over = total + float(reward), terminated or truncated
print(f"return {total:.1f}; at the end the robot had the change {info['change']}")
