"""The revision of this code: it is stored with every run and printed for bug reports."""

from __future__ import annotations

import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def git_revision(folder: Path = CHECKOUT) -> str | None:
    """The commit of a checkout, e.g. ``1f0c9e2b7a31``, with ``+changes`` when tracked files outside of `docs` differ from it.

    No code that is measured is in `docs`, and measurements write their reports there: if they counted, the second one would have
    changes, too.

    Args:
        folder: the checkout's top folder.

    Returns:
        None if the folder is no checkout or git is not installed.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    # installed in a virtual environment, the folder may lie in somebody else's repository
    if top is None or Path(top).resolve() != folder.resolve():
        return None
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    if commit is None:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)docs")
    return f"{commit}+changes" if changes else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
