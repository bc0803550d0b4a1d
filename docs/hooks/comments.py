"""Comments stay in the sources: a list or table that follows one directly would not be recognised as such."""

from __future__ import annotations

import re
from typing import Any

from outside_links import outside_code

COMMENT = re.compile(r"<!--.*?-->", flags=re.S)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Takes the comments out of a page, and leaves an empty line where they were."""
    return outside_code(markdown, lambda part: COMMENT.sub("\n", part))
