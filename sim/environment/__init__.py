"""The scenarios as Gymnasium environments. Importing this package registers their ids.

    import gymnasium
    import sim.environment

    env = gymnasium.make("adaptive_mbrl/HalfCheetahCadmCripple-v0")

Gymnasium can also do the import itself: `gymnasium.make("sim.environment:adaptive_mbrl/HalfCheetahCadmCripple-v0")`.
Nothing heavy is imported before an environment is made.
"""

from sim.environment.registration import ids, register

__all__ = ["ids", "register"]

register()
