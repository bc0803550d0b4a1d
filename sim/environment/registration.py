"""The ids of the shipped scenarios, derived from the names of their files."""

from __future__ import annotations

import gymnasium

from sim.paths import known_configs

NAMESPACE = "adaptive_mbrl"
VERSION = 0
"""It is counted up when the same id gives other rewards, observations or episodes."""


def ids() -> dict[str, str]:
    """The id of each shipped scenario, and the scenario's name.

    ``half_cheetah/cadm_cripple`` has the id ``adaptive_mbrl/HalfCheetahCadmCripple-v0``.
    """
    return {f"{NAMESPACE}/{_camel_case(name)}-v{VERSION}": name for name in known_configs("scenarios")}


def register() -> None:
    """Register every shipped scenario in Gymnasium's registry; those that are there already stay."""
    for id, scenario in ids().items():
        if id not in gymnasium.registry:
            gymnasium.register(
                id,
                entry_point="sim.environment.scenario_env:ScenarioEnv",
                vector_entry_point="sim.environment.vector_env:ScenarioVectorEnv",
                kwargs={"scenario": scenario},
            )


def _camel_case(name: str) -> str:
    return "".join(word.capitalize() for word in name.replace("/", "_").split("_"))
