"""The cards of adaptation rules and planners."""

from __future__ import annotations

import inspect
import re
import sys
import typing
from typing import Any

from adaptive_mbrl.adaptation import RuleConfig
from adaptive_mbrl.config import did_you_mean
from adaptive_mbrl.errors import ConfigError
from adaptive_mbrl.planning import PlannerConfig
from adaptive_mbrl.schema import default_in_words, describe, type_in_words
from sim.catalog.card import Card

_PAPER = re.compile(r"\(([^()]*(?:arXiv|\b[12]\d{3}\b)[^()]*)\)")
"""A source in parentheses."""


def show_rule(name: str) -> Card:
    """An adaptation rule with its settings, as the key `adaptation` of a training takes them."""
    return _card("rule", name, typing.get_args(RuleConfig), "adaptation")


def show_planner(name: str) -> Card:
    """A planner with its settings, as the key `planner` of a training takes them."""
    return _card("planner", name, typing.get_args(PlannerConfig), "planner")


def _card(kind: str, name: str, configs: tuple[Any, ...], key: str) -> Card:
    by_tag = {config.TAG: config for config in configs}
    if name not in by_tag:
        raise ConfigError(f"unknown {kind} '{name}'{did_you_mean(name, by_tag)}; known {kind}s: {', '.join(by_tag)}")
    config = by_tag[name]
    module = sys.modules[config.__module__]
    explanation = inspect.cleandoc(module.__doc__ or "")
    settings = [
        {"setting": k.name, "default": default_in_words(k), "allowed": type_in_words(k.shape), "meaning": k.documentation}
        for k in describe(config).keys
    ]
    papers = [" ".join(paper.split()) for paper in _PAPER.findall(explanation)]
    facts = {"in a training": f"{key}: {name}", "source": papers, "file": f"{config.__module__.replace('.', '/')}.py"}
    first, _, rest = explanation.partition("\n")
    tables = {"Settings": settings} if settings else {}
    return Card(kind, name, first, facts, tables, {"How it works": _unfolded(rest)} if rest.strip() else {})


def _unfolded(text: str) -> str:
    """A text whose paragraphs are one line each; indented lines, which are equations, stay as they are."""
    parts = re.split(r"\n\s*\n", text.strip("\n"))
    return "\n\n".join(part if part.startswith(" ") else " ".join(part.split("\n")) for part in parts)
