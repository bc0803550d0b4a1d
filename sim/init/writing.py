"""The texts of the files, from templates; what they hold is YAML by `flow`, and the comments are in the templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2
import yaml

from sim.init.draft import Entry


def render(template: str, values: Mapping[str, Any]) -> str:
    """The text of one file.

    Args:
        template: name of a file in `templates/`.
        values: what the template refers to.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sim.init"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {"flow": flow, "entry": entry_line}
    return environment.get_template(template).render(**values)


def flow(value: Any) -> str:
    """A value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def entry_line(entry: Entry) -> str:
    """An entry of a list, with its comment; behind a # if it is to be switched on."""
    line = f"- {flow(dict(entry.values))}"
    comment = f"  # {entry.comment}" if entry.comment else ""
    return line + comment if entry.active else f"# {line}{comment}"
