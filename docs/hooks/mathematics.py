"""Mathematics is set when the site is built: LaTeX becomes MathML, which browsers show without a script.

Formulas are written as on code hosts, `$...$` in a sentence and `$$...$$` on lines of their own. A formula with a command that
the converter does not know ends the build. The font comes with the package ziamath, so that the site looks the same everywhere.
"""

from __future__ import annotations

import html
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

FONT = "STIXTwoMath-Regular.ttf"
# what pymdownx.arithmatex makes of $...$ and $$...$$
INLINE = re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', flags=re.S)
DISPLAY = re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', flags=re.S)
# operators whose limits stand below and above them in a formula of its own
LARGE = re.compile(r"(\\(?:sum|prod|max|min|sup|inf))(?=\s*[_^])")
NOT_CONVERTED = re.compile(r"<mi>(\\[^<]*|&|&amp;|\*)</mi>|<mo>\*</mo>")


def mathml(tex: str, display: bool) -> str:
    """A formula as MathML.

    Raises:
        PluginError: something in it is not known to the converter.
    """
    prepared = tex.replace("{aligned}", "{split}")
    prepared = re.sub(r"\\operatorname\*\{([^}]*)\}", r"\\mathop{\\mathrm{\1}}\\limits", prepared)
    if display:
        prepared = LARGE.sub(r"\1\\limits", prepared)
    converted: str = convert(prepared, display="block" if display else "inline")
    unknown = NOT_CONVERTED.search(converted)
    if unknown:
        raise PluginError(f"formula {tex!r}: {unknown[1] or '*'} cannot be converted")
    return converted


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the font."""
    package = find_spec("ziamath")
    if package is None or package.origin is None:
        raise PluginError("the font of formulas is missing: install the extra packages of 'adaptive-mbrl[docs]'")
    files.append(File.generated(config, f"assets/{FONT}", abs_src_path=str(Path(package.origin).parent / "fonts" / FONT)))
    return files


def on_page_content(content: str, **_: Any) -> str:
    """Sets the formulas of a page."""
    content = INLINE.sub(lambda match: mathml(html.unescape(match[1]).strip(), display=False), content)
    return DISPLAY.sub(
        lambda match: f'<div class="formula">{mathml(html.unescape(match[1]).strip(), display=True)}</div>', content
    )
