"""Which code produced a run: stored beside it, and printed for bug reports."""

from __future__ import annotations

import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def git_revision(folder: Path = CHECKOUT) -> str | None:
    """The commit that `folder` is a checkout of, e.g. ``1f0c9e2b7a31``, with ``+changes`` when tracked files differ from it.

    None when the code was installed without git, or git itself is missing.
    """
    top = _git(folder, "rev-parse", "--show-toplevel")
    # a virtual environment inside somebody's own repository is not a checkout of this project
    if top is None or Path(top).resolve() != folder.resolve():
        return None
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    if commit is None:
        return None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{commit}+changes" if changes else commit


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
