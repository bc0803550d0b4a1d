"""Pages from templates: each extends `base.html.j2`, which has the look, and may take parts from `macros.html.j2`."""

from __future__ import annotations

from typing import Any

import jinja2

BASE = "adaptive_mbrl.pages"
"""The package of `base.html.j2`, which other templates call ``pages/base.html.j2``."""


def render_page(package: str, template: str, /, **values: Any) -> str:
    """A whole page.

    Args:
        package: the package that the template lies in.
        template: its file name.
        values: what the template is given. Texts are escaped; pictures are not.
    """
    loader = jinja2.ChoiceLoader(
        [jinja2.PackageLoader(package, "."), jinja2.PrefixLoader({"pages": jinja2.PackageLoader(BASE, ".")})]
    )
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(template).render(**values)
