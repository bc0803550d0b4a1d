"""Mathematics is set when the site is built: LaTeX becomes MathML, which browsers show without a script or a font from a network."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

# what pymdownx.arithmatex makes of $...$ and $$...$$
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', flags=re.S)
DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', flags=re.S)


def on_page_content(html_text: str, **_: Any) -> str:
    """Replaces the formulas of a page."""
    text = INLINE.sub(lambda match: convert(html.unescape(match[1]).strip()), html_text)
    return DISPLAY.sub(lambda match: f'<div class="formula">{convert(html.unescape(match[1]).strip(), display="block")}</div>', text)
