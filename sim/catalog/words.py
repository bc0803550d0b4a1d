"""Changes, and values that are drawn, in words; `sim.scenarios.draws` says what can be written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def change_in_words(change: Mapping[str, Any]) -> str:
    """A change, such as ``actuator_gain of one of bthigh, bshin: 0.5 to 1``."""
    if not change:
        return "nothing: the nominal robot"
    return "; ".join(_field(name, value) for name, value in change.items())


def value_in_words(value: Any) -> str:
    """A value that may be drawn, such as ``0.5 to 1`` or ``1, 2 or 3``."""
    if isinstance(value, Mapping):
        if "uniform" in value:
            low, high = value["uniform"]
            return f"{low:g} to {high:g}"
        if "choice" in value:
            return _either([value_in_words(option) for option in value["choice"]])
        return ", ".join(f"{name} {value_in_words(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return f"[{', '.join(value_in_words(item) for item in value)}]"
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def times_in_words(times: int | Mapping[str, Any]) -> str:
    """How often an episode changes."""
    if isinstance(times, Mapping):
        fewest, most = times["uniform"]
        return f"{fewest:g} to {most:g} times"
    return "once" if times == 1 else f"{times} times"


def step_in_words(at: int | Mapping[str, Any]) -> str:
    """When a change comes."""
    if not isinstance(at, Mapping):
        return f"at step {at}"
    if "uniform" in at:
        first, last = at["uniform"]
        return f"at a step from {first:g} to {last:g}"
    first, last = at["fraction"]
    return f"between {first:.0%} and {last:.0%} of the episode"


def _field(name: str, value: Any) -> str:
    forms = {"one_of": "one of {}", "each": "each of {} (drawn apart)", "same": "all of {} alike"}
    form = next((form for form in forms if isinstance(value, Mapping) and form in value), None)
    if form is not None:
        names = forms[form].format(", ".join(map(str, value[form])))
        inverse = f" (1 / value for {', '.join(map(str, value['inverse']))})" if value.get("inverse") else ""
        return f"{name} of {names}: {value_in_words(value['value'])}{inverse}"
    if isinstance(value, Mapping) and not {"uniform", "choice"} & set(value):
        return "; ".join(f"{name} of {part}: {value_in_words(inner)}" for part, inner in value.items())
    return f"{name}: {value_in_words(value)}"


def _either(options: list[str]) -> str:
    return f"{', '.join(options[:-1])} or {options[-1]}" if len(options) > 1 else options[0]
