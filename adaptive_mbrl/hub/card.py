"""The model card of a checkpoint that is pushed: its README.md. By the lines at its top the Hugging Face Hub finds it."""

from __future__ import annotations

import yaml

from adaptive_mbrl.checkpoint import Description

LIBRARY = "adaptive-mbrl"
_FENCE = "---\n"


def card_of(description: Description, name: str, written: str | None) -> str:
    """The card.

    Args:
        description: of the checkpoint.
        name: what the checkpoint is called where it is pushed to.
        written: the card that the checkpoint has already, which is kept; None for none.
    """
    text = _card(description, name) if written is None else written
    return text if text.startswith(_FENCE) else f"{_metadata(description)}\n{text}"


def _metadata(description: Description) -> str:
    rules = [rule.TAG for rule in description.adaptation]
    tags = ["robotics", "model-based-reinforcement-learning", "meta-learning", "model-predictive-control"]
    content = {
        "library_name": LIBRARY,
        "pipeline_tag": "robotics",
        "tags": [*tags, *(f"adaptation:{rule}" for rule in rules), f"robot:{description.spec.name}"],
    }
    return f"{_FENCE}{yaml.safe_dump(content, sort_keys=False)}{_FENCE}"


def _card(description: Description, name: str) -> str:
    spec = description.spec
    adapts = "It does not adapt." if description.is_multitask else f"It adapts by {_rules(description)}"
    rest = "" if description.is_multitask else f", from the last {description.window} transitions."
    obs = "\n".join(f"| observation | {c.name} | {c.unit} | |" for c in spec.obs)
    action = "\n".join(f"| action | {c.name} | {c.unit} | {c.low:g} to {c.high:g} |" for c in spec.action)
    made = "\n".join(
        f"| {key} | {value} |" for key, value in description.provenance.items() if not isinstance(value, dict | list)
    )
    return f"""# {name}

A dynamics model of the robot '{spec.name}' with a control period of {spec.dt:g} s. {adapts}{rest}
{_pursues(description)}

| | channel | unit | limits |
|---|---|---|---|
{obs}
{action}

## How to use it

    adaptive-mbrl pull SOURCE --out {name}

where SOURCE is the address of this checkpoint, and in Python:

    from adaptive_mbrl import AdaptiveController

    controller = AdaptiveController.load("{name}")
    command = controller.step(obs)

## How it was made

| | |
|---|---|
{made}

What it reaches was not written down here.
"""


def _pursues(description: Description) -> str:
    """What its planner maximises, and where it expects episodes to end."""
    terms = ", ".join(f"{term.weight:g} {term.kind}" for term in description.terms)
    if description.learned_reward is not None:
        reward = "Its planner maximises a reward that was learned from the rewards of episodes."
    else:
        reward = f"Its planner maximises {terms}." if terms else "It has no objective."
    end = "" if description.learned_termination is None else " Where episodes end was learned, too."
    return reward + end


def _rules(description: Description) -> str:
    return ", then ".join(rule.TAG for rule in description.adaptation)
